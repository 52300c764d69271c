"""Poolings, for the three witnesses."""

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, S8, S16, U8, U16, wide
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from witness.base import Case, clamp, each, grid, oracle, pairs, requantised
from witness.window import taps


@oracle.register
def _(kind: MaxPool, x):
    def value(at):
        n, c, row, column = at
        seen = (int(x[n, c, y, z]) for _, _, y, z in taps(kind.window, row, column, *x.shape[2:]))
        return clamp(max(seen, default=kind.type.lo), kind.lo, kind.hi)

    return each(kind, value, x)


@oracle.register
def _(kind: AveragePool, x):
    def value(at):
        n, c, row, column = at
        acc = sum(int(x[n, c, y, z]) - kind.x.zero for _, _, y, z in taps(kind.window, row, column, *x.shape[2:]))
        return requantised(acc, kind.multiplier[at[2:]], kind.y, kind.lo, kind.hi, wide(kind.x, kind.y))

    return each(kind, value, x)


def largest(kind, kernel, strides, pads, dilations=(1, 1), lo=None, hi=None):
    clamped = kind.lo if lo is None else lo, kind.hi if hi is None else hi
    return MaxPool(kind, kernel, strides, pads, dilations, *clamped)


def average(x, y, size, kernel, strides=(1, 1), pads=(0, 0, 0, 0), include_pad=False, lo=None, hi=None):
    """An AveragePool with the true count of each window, as the quantiser makes it; size: height and width."""
    lines = []
    for i in (0, 1):
        out = (size[i] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1
        starts = np.arange(out) * strides[i] - pads[i]
        inside = np.minimum(starts + kernel[i], size[i]) - np.maximum(starts, 0)
        lines.append(np.full(out, kernel[i]) if include_pad else inside)
    counts = lines[0][:, None] * lines[1][None, :]
    clamped = y.type.lo if lo is None else lo, y.type.hi if hi is None else hi
    return AveragePool.of(x, y, counts, *clamped, kernel, strides, pads)


SAME = (1, 1, 1, 1)
CASES = [
    case
    for t in CODES
    for case in (
        Case("3x3 stride 2", largest(t, (3, 3), (2, 2), SAME), ((2, 3, 7, 6),)),
        Case("pads only at the end", largest(t, (2, 2), (2, 2), (0, 0, 1, 1)), ((1, 2, 5, 5),)),
        Case(
            "dilated, clamped",
            largest(t, (2, 3), (1, 2), (1, 2, 0, 2), (2, 2), t.lo + 30, t.hi - 55),
            ((2, 2, 6, 7),),
        ),
        Case("2x2", average(grid(0.026, kind=t), grid(0.02, kind=t), (6, 6), (2, 2), (2, 2)), ((2, 3, 6, 6),)),
        Case(
            "lowest zero, padding counted",
            average(grid(0.026, t.lo, t), grid(0.02, t.lo, t), (5, 5), (3, 3), (2, 1), SAME, include_pad=True),
            ((1, 3, 5, 5),),
        ),
        Case(
            "highest zero, clamped",
            average(grid(0.026, t.hi, t), grid(0.02, t.hi, t), (5, 5), (3, 3), (2, 1), SAME, hi=t.hi - 9),
            ((1, 3, 5, 5),),
        ),
        Case("ties", average(grid(1.0, kind=t), grid(1.0, kind=t), (4, 5), (1, 2)), ((2, 2, 4, 5),)),
    )
] + [
    Case(
        "padding not counted",
        average(grid(0.03, kind=x), grid(0.03 * (x.span / y.span), kind=y), (5, 5), (3, 3), (2, 1), SAME),
        ((2, 3, 5, 5),),
    )
    for x, y in pairs()
] + [
    Case("ceil mode resolved", largest(U8, (3, 3), (2, 2), (0, 0, 2, 2)), ((1, 2, 5, 5),)),
    Case("pads as wide as the kernel", largest(S16, (2, 2), (1, 1), (2, 2, 2, 2), (3, 3)), ((1, 2, 5, 5),)),
    Case("rows of padding", average(grid(0.3), grid(0.1), (3, 3), (1, 1), (1, 1), (2, 0, 0, 0), True), ((1, 1, 3, 3),)),
    Case("saturating", average(grid(0.5, kind=S8), grid(0.02, kind=S8), (5, 5), (3, 3)), ((1, 3, 5, 5),)),
    Case("sums just below 2^24", average(grid(0.1, 0, U16), grid(0.1, 0, U16), (16, 17), (16, 16)), ((1, 1, 16, 17),)),
    Case("in digits", average(grid(0.1, 0, U16), grid(0.1, 0, U16), (17, 17), (17, 16)), ((1, 2, 17, 17),)),
    Case("in digits", average(grid(0.1, S16.hi, S16), grid(0.1, 0, S16), (17, 17), (17, 16)), ((1, 2, 17, 17),)),
]  # fmt: skip
