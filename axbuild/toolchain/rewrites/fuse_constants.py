"""Two constants that meet the same tensor one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, activations_of, constant_operand, has_one_reader, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class TwoConstants:
    """x: the tensor; inner: the node before; together: what both constants are; largest: of each, in magnitude."""

    x: ir.Value
    inner: ir.Node
    together: Array
    largest: tuple[float, float]


class FuseConstants(Rewrite[TwoConstants]):
    """(x + c) + d -> x + (c + d)
    (x c) d -> x (c d)
    """

    op = ("Add", "Mul")
    is_needed = False

    def match(self, node: ir.Node) -> TwoConstants | NoMatch:
        outer = constant_operand(node)
        (value, *_) = activations_of(node) or (None,)
        inner = value.producer() if value is not None else None
        if node.outputs[0].dtype != ir.DataType.FLOAT:
            return NoMatch(f"{node.op_type} is not of float32")
        if outer is None or value is None or inner is None or inner.op_type != node.op_type or inner.domain:
            return NoMatch(f"{node.op_type} is not of a constant and such a {node.op_type}")
        first = constant_operand(inner)
        if first is None or not has_one_reader(value):
            return NoMatch(f"the {inner.op_type} before has no constant, or another reader")
        (x, *_) = activations_of(inner)
        a, b = first.astype(np.float64), outer.astype(np.float64)
        together = (a + b if node.op_type == "Add" else a * b).astype(np.float32)
        if np.broadcast_shapes(shape_of(x), together.shape) != shape_of(node.outputs[0]):
            return NoMatch("the constants make the tensor larger in turn")
        if not np.isfinite(together).all():
            return NoMatch("the constants together leave float32")
        return TwoConstants(x, inner, together, (float(np.abs(a).max()), float(np.abs(b).max())))

    def replace(self, node: ir.Node, found: TwoConstants, steps: Steps) -> ir.Value:
        constant = steps.constant(found.together, "constant")
        return steps.insert(node.op_type, [found.x, constant], origins=(found.inner, node))

    def rounding(self, node: ir.Node, found: TwoConstants) -> Rounding:
        c, d = found.largest
        if node.op_type == "Add":
            return Rounding(3, ((found.x, 1.0),), c + d)
        return Rounding(3, ((found.x, c * d),))
