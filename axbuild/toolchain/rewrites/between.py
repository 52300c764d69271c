"""Operators that work element by element on one tensor: they do the same in any shape of it."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from axbuild.toolchain.graph import constant_of, has_one_reader, is_activation, shape_of
from axbuild.toolchain.rewrites.lift_line import ELEMENTWISE
from axbuild.toolchain.rewrites.rewrite import Steps, attributes


def element_wise_before(value: ir.Value) -> tuple[tuple[ir.Node, ...], ir.Value]:
    """(the operators that nothing but the value is made by, last first; the tensor that the first of them reads)."""
    found: list[ir.Node] = []
    while (node := value.producer()) is not None and has_one_reader(value) and (source := _only(node)) is not None:
        found.append(node)
        value = source
    return tuple(found), value


def _only(node: ir.Node) -> ir.Value | None:
    """The one tensor that the node computes from, where all else it reads is single numbers and its shape stays."""
    if node.op_type not in ELEMENTWISE or node.domain:
        return None
    computed = [value for value in node.inputs if value is not None and is_activation(value)]
    arrays = [constant_of(value) for value in node.inputs if value is not None and not is_activation(value)]
    if len(computed) != 1 or any(array is None or array.size != 1 for array in arrays):
        return None
    return computed[0] if shape_of(computed[0]) == shape_of(node.outputs[0]) else None


def repeated(nodes: Sequence[ir.Node], value: ir.Value, steps: Steps) -> ir.Value:
    """The same operators, last first, on a tensor of another shape."""
    for node in reversed(nodes):
        source, shape = _only(node), shape_of(value)
        inputs = [value if given is source else given for given in node.inputs]
        value = steps.insert(node.op_type, inputs, attributes(node), shape=shape, origins=(node,))
    return value
