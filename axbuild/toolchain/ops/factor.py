"""Numbers that tensors are multiplied by, for the ops and for the rewrites that carry them elsewhere."""

from __future__ import annotations

import math

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, constant_input, constant_operand


def constant_factor(node: ir.Node) -> float | None:
    """The number above 0 that a Mul or Div multiplies a computed tensor by; None for every other node."""
    if node.op_type not in ("Mul", "Div") or not activations_of(node):
        return None
    array = constant_input(node, 1) if node.op_type == "Div" else constant_operand(node)
    number = float(array.reshape(())) if array is not None and array.size == 1 else 0.0
    if not 0.0 < number < math.inf:
        return None
    return 1.0 / number if node.op_type == "Div" else number
