"""The largest and smallest elements along an axis, for the three witnesses."""

import math

from axbuild.toolchain.kinds.codes import CODES, FP32, INT32, INT64, U8, U16
from axbuild.toolchain.kinds.rank import Rank
from witness.base import Case, each, oracle


@oracle.register
def _(kind: Rank, x):
    def value(at):
        line = x[(*at[: kind.axis], slice(None), *at[kind.axis + 1 :])].tolist()
        falling = [math.inf if math.isnan(v) else -v if kind.largest else v for v in line]
        order = sorted(range(len(line)), key=lambda i: (falling[i], i))
        place = order[at[kind.axis]]
        return place if kind.gives == "places" else line[place]

    return each(kind, value, x)


CASES = [
    case
    for gives in ("values", "places")
    for largest in (0, 1)
    for case in (
        *(Case("rows", Rank(gives, t, 1, 3, largest), ((4, 40),)) for t in CODES),
        *(Case("ties", Rank(gives, t, 1, 5, largest), ((4, 12),), top=4) for t in (INT32, INT64)),
        Case("reals", Rank(gives, FP32, 1, 12, largest), ((3, 12),)),
        Case("channels", Rank(gives, U8, 1, 1, largest), ((2, 5, 4, 3),)),
        Case("all of a vector", Rank(gives, INT64, 0, 9, largest), ((9,),), top=5),
        Case("places of rows", Rank(gives, U16, 2, 2, largest), ((1, 3, 6, 2),)),
    )
]
