"""Choices between two activations, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, FP32, INT32, INT64, S8, S16, U8, U16, wide
from axbuild.toolchain.kinds.select import Choose, Select
from witness.base import Case, each, grid, oracle, pairs, requantised

IMAGE = (2, 3, 5, 6)


@oracle.register
def _(kind: Select, *inputs):
    shape = kind.output_shape(*(x.shape for x in inputs))
    *condition, a, b = (np.broadcast_to(x, shape) for x in inputs)

    def moved(code, own, multiplier):
        return requantised(int(code) - own.zero, multiplier, kind.y, kind.lo, kind.hi, wide(own, kind.y))

    def value(at):
        choice = moved(a[at], kind.a, kind.a_multiplier), moved(b[at], kind.b, kind.b_multiplier)
        if condition:
            return choice[0] if condition[0][at] else choice[1]
        return max(choice) if kind.op == "max" else min(choice)

    return each(kind, value, *inputs)


@oracle.register
def _(kind: Choose, condition, a, b):
    shape = kind.output_shape(condition.shape, a.shape, b.shape)
    condition, x, y = (np.broadcast_to(value, shape) for value in (condition, a, b))
    return each(kind, lambda at: x[at] if condition[at] else y[at], condition, a, b)


def select(op, a, b, y, lo=None, hi=None) -> Select:
    return Select.of(op, a, b, y, y.type.lo if lo is None else lo, y.type.hi if hi is None else hi)


def of_type(t, span, zero=None):
    return grid(span / t.span, zero, t)


def shapes(op, *own):
    return ((own[0], *own) if len(own) == 2 else own) if op == "where" else own[-2:]


OPS = ("where", "max", "min")
CASES = (
    [
        Case("same shape", select(op, of_type(x, 9), of_type(y, 7), of_type(y, 8)), shapes(op, IMAGE, IMAGE))
        for op in OPS
        for x, y in pairs()
    ]
    + [
        case
        for op in OPS
        for t in CODES
        for case in (
            Case("one grid", select(op, *[of_type(t, 5)] * 3), shapes(op, (3, 40), (3, 40))),
            Case(
                "ties", select(op, grid(1.0, t.lo, t), grid(1.0, t.hi, t), grid(2.0, kind=t)), shapes(op, (90,), (90,))
            ),
            Case(
                "clamped, saturating",
                select(op, of_type(t, 50), of_type(t, 60), of_type(t, 3), t.lo + 9, t.hi - 5),
                shapes(op, (3, 20), (3, 20)),
            ),
        )
    ]
    + [
        Case("a condition a row", select("where", grid(0.1), grid(0.2), grid(0.2)), ((2, 1), (2, 6), (1, 6))),
        Case(
            "a mask",
            select("where", grid(0.1, kind=S16), grid(0.2, kind=S8), grid(0.2, kind=U16)),
            ((5, 6), IMAGE, (1,)),
        ),
        Case("per channel", select("max", grid(0.1, kind=U16), grid(0.2), grid(0.2)), (IMAGE, (3, 1, 1))),
        Case("one row", select("min", grid(0.1, kind=S8), grid(0.2, kind=U8), grid(0.2)), ((2, 6), (1, 6))),
    ]
    + [Case("plain", Choose(t), (IMAGE, (3, 1, 6), IMAGE)) for t in (FP32, INT32, INT64)]
    + [Case("a row", Choose(INT64), ((1, 7), (1,), (1, 7)))]
)
