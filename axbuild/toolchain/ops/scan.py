"""Running sums along an axis."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, input_of, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.kinds.scan import FloatRunningSum, IntegerRunningSum, RunningSum
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


def _axis(node: ir.Node) -> int:
    given = constant_input(node, 1)
    return 0 if given is None else int(given.reshape(-1)[0]) % len(shape_of(needed_input(node, 0)))


class CumSumOp(Op):
    """The sum of all elements up to each one; exact, with one rounding."""

    onnx = "CumSum"
    soi = (1,)
    clamps = True
    reals_too = True
    limits = (Limit("its axis must be a constant", lambda n: not is_activation(input_of(n, 1))), FITS)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return NUMBERS

    def lower(self, q: SettledNode) -> list[Step]:
        along = _axis(q.node), integer(q.node, "exclusive", 0), integer(q.node, "reverse", 0)
        if q.whole is not None:
            return q.single(IntegerRunningSum(q.whole, *along), q.input(0))
        if q.real:
            return q.single(FloatRunningSum(*along), q.input(0))
        return q.single(RunningSum.of(q.x(), q.y, *along, q.lo, q.hi), q.input(0))
