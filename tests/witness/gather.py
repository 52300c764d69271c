"""Rows of a table, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, FP32, INT32, INT64, S16, U8, U16
from axbuild.toolchain.kinds.gather import Gather
from witness.base import Case, each, grid, oracle


@oracle.register
def _(kind: Gather, x):
    rows = kind.data.tolist()

    def value(at):
        found = rows[int(x[at[: x.ndim]])]
        for i in at[x.ndim :]:
            found = found[i]
        return found

    return each(kind, value, x)


def gather(index, t, rows) -> Gather:
    """Every entry of the table differs from its neighbours."""
    count = int(np.prod(rows))
    data = np.arange(count) * 7919 % (t.span + 1) + t.lo if t.coded else np.arange(count) / 7
    return Gather(index, grid(0.02, kind=t) if t.coded else t, data.reshape(rows).astype(t.dtype))


CASES = [
    case
    for t in (*CODES, FP32)
    for index in (INT32, INT64)
    for case in (
        Case("tokens", gather(index, t, (9, 5)), ((2, 7),), top=9),
        Case("scalars", gather(index, t, (11,)), ((2, 3, 4),), top=11),
    )
] + [
    Case("one vector of tokens", gather(INT64, U8, (20, 3)), ((6,),), top=20),
    Case("maps", gather(INT64, U16, (4, 2, 3)), ((2, 5),), top=4),
    Case("volumes", gather(INT32, S16, (4, 2, 3, 2)), ((2, 5),), top=4),
    Case("pixels", gather(INT64, U8, (4, 6)), ((1, 3, 5),), top=4),
    Case("an image of tokens", gather(INT64, U8, (8,)), ((1, 3, 5, 2),), top=8),
]
