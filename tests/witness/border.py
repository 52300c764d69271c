"""Borders, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.codes import CODES, FP32, S8, S16, U8, U16, Grid, wide
from witness.base import Case, clamp, each, float32, grid, oracle, pairs, requantised

IMAGE = (2, 3, 5, 6)
MEAN, STD = np.array([103.939, 116.779, 123.68], np.float32), np.array([58.0, 57.5, 1.75], np.float32)
TINY = float(np.finfo(np.float32).tiny)


@oracle.register
def _(kind: Quantize, x):
    y = kind.y

    def value(at):
        real = float(x[at])
        if real != real:
            return y.zero
        steps = real / y.scale
        if abs(steps) > 1e9:
            return y.type.hi if steps > 0 else y.type.lo
        return clamp(round(float32(steps)) + y.zero, y.type.lo, y.type.hi)  # Python's round is half to even

    return each(kind, value, x)


@oracle.register
def _(kind: Dequantize, x):
    return each(kind, lambda at: float32((int(x[at]) - kind.x.zero) * kind.x.scale), x)


@oracle.register
def _(kind: Requantize, x):
    def value(at):
        acc = int(x[at]) - kind.x.zero
        return requantised(acc, kind.multiplier, kind.y, kind.lo, kind.hi, wide(kind.x, kind.y))

    return each(kind, value, x)


@oracle.register
def _(kind: Normalize, x):
    def value(at):
        c = at[kind.axis]
        return float32(float32(float(x[at]) - float(kind.mean[c])) / float(kind.std[c]))

    return each(kind, value, x)


CASES = [
    *(Case("half steps", Quantize(grid(0.5, kind=y)), ((3, 40),)) for y in CODES),
    *(Case("zero at the top", Quantize(Grid(TINY, y.hi, y)), ((3, 40),)) for y in CODES),
    *(Case("zero at the bottom", Quantize(grid(1e-3, y.lo, y)), ((3, 40),)) for y in CODES),
    *(Case("all codes", Dequantize(grid(0.0173, kind=x)), ((2, 130),)) for x in CODES),
    *(Case("zero at the top, huge", Dequantize(grid(1e30, x.hi, x)), ((2, 130),)) for x in CODES),
    *(Case("subnormal reals", Dequantize(Grid(TINY, x.lo, x)), ((2, 130),)) for x in CODES),
    *(Case("another grid", Requantize.of(grid(0.035, kind=x), grid(0.013, kind=y)), ((3, 90),)) for x, y in pairs()),
    *(
        Case("ties", Requantize.of(grid(0.5, x.hi, x), grid(1.0, y.hi, y), y.lo + 3, y.hi - 5), ((3, 90),))
        for x, y in pairs()
    ),
    Case("same grid", Requantize.of(grid(0.1, 17), grid(0.1, 17)), ((3, 90),)),
    Case("to all codes", Requantize.of(grid(0.257), grid(0.001, kind=U16)), ((2, 3, 4, 5),)),
    Case("coarse", Requantize.of(grid(1e-9, kind=S16), grid(3.0, kind=S8)), ((3, 90),)),
    *(Case("codes NHWC", Normalize(Grid(1.0, 0, x), MEAN, STD, 3), ((2, 4, 4, 3),)) for x in (U8, U16)),
    Case("codes NCHW", Normalize(Grid(1.0, 0, U8), MEAN, STD, 1), (IMAGE,)),
    Case("reals", Normalize(FP32, MEAN, STD, 1), (IMAGE,)),
]
