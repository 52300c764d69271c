"""One of two tensors by a condition, any of the three a constant."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import has_one_reader, input_of, is_activation, needed_input
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.kinds.select import Choose, Select
from axbuild.toolchain.masks import HIDDEN, hiding_side
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS
from axbuild.toolchain.ops.pairwise import ONE_COMPUTED


class WhereOp(Op):
    """a where the condition is true, else b."""

    onnx = "Where"
    clamps = True
    reals_too = True
    limits = (
        ONE_COMPUTED,
        FITS,
        Limit(
            f"a constant of {HIDDEN:g} or less may hide elements of a Softmax right behind it, and be nothing else",
            lambda n: hiding_side(n) is None,
            of_codes=True,
        ),
    )
    cases = ("test_where_example", "test_where_long_example")

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (ir.DataType.BOOL,) if value is input_of(node, 0) else NUMBERS

    def shown(self, node: ir.Node) -> tuple[ir.Value, ...]:
        side = hiding_side(node)
        if side is None or not has_one_reader(node.outputs[0]):
            return ()
        value = needed_input(node, 3 - side)
        return (value,) if is_activation(value) else ()

    def lower(self, q: SettledNode) -> list[Step]:
        operands = [q.input(place) for place in range(3)]
        if not isinstance(q.target, Grid):
            return q.joined(Choose(q.target), *operands)
        return q.joined(Select.of("where", q.chosen(1), q.chosen(2), q.y, q.lo, q.hi), *operands)
