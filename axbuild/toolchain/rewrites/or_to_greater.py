"""Logic that no chip has, by what all chips have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_of, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


class OrToGreater(Rewrite[bool]):
    """Or(a, b) -> Greater(Add(Cast(a), Cast(b)), 0)"""

    op = ("Or",)

    def match(self, node: ir.Node) -> bool | NoMatch:
        return True

    def replace(self, node: ir.Node, found: bool, steps: Steps) -> ir.Value:
        a, b = (_counted(node, index, steps) for index in (0, 1))
        total = steps.insert("Add", [a, b], name="sum", shape=shape_of(node.outputs[0]), dtype=ir.DataType.INT32)
        zero = steps.constant(np.zeros((), np.int32), "zero")
        return steps.insert("Greater", [total, zero])


def _counted(node: ir.Node, index: int, steps: Steps) -> ir.Value:
    """An operand as 0 and 1."""
    value, name = needed_input(node, index), "ab"[index]
    array = constant_of(value)
    if array is not None:
        return steps.constant(array.astype(np.int32), name)
    kind = ir.DataType.INT32
    return steps.insert("Cast", [value], {"to": kind}, name=name, shape=shape_of(value), dtype=kind)
