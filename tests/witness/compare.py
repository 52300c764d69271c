"""Comparisons, for the three witnesses."""

from fractions import Fraction

import numpy as np

from axbuild.toolchain.kinds.codes import BOOL, FP32, INT32, INT64, S8, S16, U8, U16, Grid
from axbuild.toolchain.kinds.compare import Compare
from witness.base import Case, each, grid, oracle, pairs

RELATIONS = {
    "equal": lambda a, b: a == b,
    "less": lambda a, b: a < b,
    "less_or_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_or_equal": lambda a, b: a >= b,
}


def exact(value, edge):
    """The real an element stands for; floats are their own, for infinities and NaN."""
    if isinstance(edge, Grid):
        return Fraction(edge.scale) * (int(value) - edge.zero)
    return float(value) if edge == FP32 else Fraction(int(value))


@oracle.register
def _(kind: Compare, *inputs):
    shape = kind.output_shape(*(x.shape for x in inputs))
    a, b = (np.broadcast_to(x, shape) for x in inputs)
    return each(kind, lambda at: RELATIONS[kind.op](exact(a[at], kind.a), exact(b[at], kind.b)), *inputs)


CASES = [
    *(
        Case("two grids", Compare(op, grid(0.1, kind=x), grid(0.2, kind=y)), ((2, 40), (2, 40)))
        for op in RELATIONS
        for x, y in ((U8, U8), (S8, U16), (S16, S16))
    ),
    *(Case("any grids", Compare("less", grid(0.1, kind=x), grid(0.3, kind=y)), ((2, 20), (2, 20))) for x, y in pairs()),
    *(Case("one grid", Compare(op, grid(0.1), grid(0.1)), ((2, 3, 5, 6), (3, 1, 1))) for op in RELATIONS),
    *(Case("reals", Compare(op, FP32, FP32), ((5, 8), (5, 8))) for op in RELATIONS),
    *(Case("codes and reals", Compare(op, grid(0.25), FP32), ((5, 8), (1, 8))) for op in ("equal", "greater")),
    *(Case("whole numbers", Compare(op, t, t), ((4, 30), (30,)), top=4) for op in RELATIONS for t in (INT32, INT64)),
    Case("truth", Compare("equal", BOOL, BOOL), ((4, 30), (1, 30))),
    Case("rows of tokens", Compare("greater_or_equal", INT64, INT64), ((1, 5, 1), (1, 1, 7)), top=7),
]
