"""One of two tensors by a condition, any of the three a constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, input_of, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.select import Choose, Select
from axbuild.toolchain.ops.base import Extent, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS, either
from axbuild.toolchain.ops.pairwise import ONE_COMPUTED

HIDDEN = -1e4
"""a constant of this or less stands for nothing: in front of a Softmax it hides an element"""


def hiding_side(node: ir.Node) -> int | None:
    """The input of a Where that is a constant of nothing but HIDDEN or less; None where neither is."""
    for place in (1, 2):
        array = constant_input(node, place)
        if array is not None and array.dtype == np.float32 and array.size and bool(np.all(array <= HIDDEN)):
            return place
    return None


def shown_side(node: ir.Node) -> ir.Value | None:
    """What a Where shows where it hides nothing, if that is computed and has the output's shape."""
    hidden = hiding_side(node)
    if hidden is None:
        return None
    shown = needed_input(node, 3 - hidden)
    return shown if is_activation(shown) and shape_of(shown) == shape_of(node.outputs[0]) else None


class WhereOp(Op):
    """a where the condition is true, else b."""

    onnx = "Where"
    clamps = True
    limits = (
        ONE_COMPUTED,
        FITS,
        Limit(
            f"a constant of {HIDDEN:g} or less may hide elements of a Softmax right behind it, and be nothing else",
            lambda n: hiding_side(n) is None,
        ),
    )
    cases = ("test_where_example", "test_where_long_example")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (ir.DataType.BOOL,) if value is input_of(node, 0) else NUMBERS

    def hides(self, node: ir.Node) -> bool:
        return hiding_side(node) is not None

    def extent(self, node: ir.Node, output: ir.Value, of: Callable[[ir.Value], Extent]) -> Extent:
        return either(of(needed_input(node, 1)), of(needed_input(node, 2)))

    def lower(self, q: SettledNode) -> list[Step]:
        operands = [q.input(place) for place in range(3)]
        if q.whole is not None:
            return q.joined(Choose(q.whole), *operands)
        return q.joined(Select.of("where", q.chosen(1), q.chosen(2), q.y, q.lo, q.hi), *operands)
