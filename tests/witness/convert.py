"""Changes of the element type, for the three witnesses."""

import math

from axbuild.toolchain.kinds.codes import BOOL, CODES, FP32, INT32, INT64, S16, U16, Grid
from axbuild.toolchain.kinds.convert import Convert
from witness.base import Case, clamp, each, float32, grid, oracle
from witness.compare import exact


def written(real, edge):
    """The element of `edge` that a real becomes; a float where the source is one."""
    if edge == BOOL:
        return real != 0
    if edge == FP32:
        return float32(float(real))
    if isinstance(edge, Grid):
        # the one division and the one sum of the definition, as float64 rounds them
        steps = float(real) / edge.scale + 0.5
        return clamp(edge.zero + (steps if math.isinf(steps) else math.floor(steps)), edge.type.lo, edge.type.hi)
    if isinstance(real, float) and math.isnan(real):
        return 0
    return math.trunc(max(INT32.lo, min(INT32.hi, real)))


@oracle.register
def _(kind: Convert, x):
    return each(kind, lambda at: written(exact(x[at], kind.x), kind.y), x)


IMAGE = (1, 3, 4, 5)
PLAIN = (BOOL, INT32, INT64, FP32)
CASES = [
    *(Case("plain", Convert(x, y), (IMAGE,), top=3000) for x in PLAIN for y in PLAIN),
    *(
        Case("to codes", Convert(x, grid(0.8, kind=t)), ((2, 70),), top=400)
        for x in (BOOL, INT32, INT64)
        for t in CODES
    ),
    *(Case("from codes", Convert(grid(0.3, kind=t), y), ((2, 70),)) for y in PLAIN for t in CODES),
    Case("saturating", Convert(grid(3e7, kind=S16), INT32), ((90,),)),
    Case("large numbers", Convert(INT64, FP32), ((90,),), top=2**31),
    Case("beyond the grid", Convert(INT32, grid(0.01, kind=U16)), ((2, 3, 30),), top=2**31),
]
