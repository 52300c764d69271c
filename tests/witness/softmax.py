"""Shares of a whole, for the three witnesses."""

import math

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, S8, S16, U8, U16, ElementType, Grid
from axbuild.toolchain.kinds.softmax import LogSoftmax, Softmax
from witness.base import Case, clamp, each, grid, oracle, pairs


@oracle.register
def _(kind: Softmax, x, *masks):
    y, steps = kind.y, kind.y.type.hi - kind.y.zero
    whole = np.float32(y.scale) == np.float32(1 / steps)
    hidden = np.broadcast_to(masks[0], x.shape) == kind.hides if masks else np.zeros(x.shape, bool)
    lines: dict[tuple[int, ...], tuple[list[int], int]] = {}

    def powers(at):
        """E along the line through a place, and its sum."""
        place = (*at[: kind.axis], slice(None), *at[kind.axis + 1 :])
        key = (*at[: kind.axis], *at[kind.axis + 1 :])
        if key not in lines:
            line, dark = x[place].tolist(), hidden[place].tolist()
            top = max((code for code, is_dark in zip(line, dark, strict=True) if not is_dark), default=0)
            e = [0 if is_dark else int(kind.table[top - code]) for code, is_dark in zip(line, dark, strict=True)]
            lines[key] = e, sum(e)
        return lines[key]

    def value(at):
        line, total = powers(at)
        e = line[at[kind.axis]]
        if not total:
            return y.zero
        share = (2 * steps * e + total) // (2 * total) if whole else math.floor(e * (1 / y.scale) / total + 0.5)
        return clamp(y.zero + share, y.type.lo, y.type.hi)

    return each(kind, value, x, *masks)


@oracle.register
def _(kind: LogSoftmax, x):
    def value(at):
        line = x[(*at[: kind.axis], slice(None), *at[kind.axis + 1 :])].tolist()
        total = sum(int(kind.table[max(line) - code]) for code in line)
        depth = (max(line) - line[at[kind.axis]]) * kind.x.scale + logarithm(total)
        return clamp(kind.y.zero + math.floor(0.5 - depth / kind.y.scale), kind.y.type.lo, kind.y.type.hi)

    return each(kind, value, x)


def logarithm(total: int) -> float:
    """ln(total 2^-24), each operation rounded once."""
    bits = total.bit_length() - 1
    m = total / 2**bits
    z = (m - 1.0) / (m + 1.0)
    series = 0.0
    for n in range(19, -1, -1):
        series = series * (z * z) + 1.0 / (2 * n + 1)
    k = float(bits - 24)
    return (k * float.fromhex("0x1.62e42feep-1") + 2.0 * z * series) + k * float.fromhex("0x1.a39ef35793c76p-33")


def whole(kind: ElementType, zero: int | None = None) -> Grid:
    """The grid whose last code stands for 1; without a zero, of all codes of the type."""
    start = kind.lo if zero is None else zero
    return Grid(float(np.float32(1 / (kind.hi - start))), start, kind)


def below(kind: ElementType, largest: float) -> Grid:
    """The grid whose last code stands for the largest share seen."""
    return Grid(float(np.float32(largest / kind.span)), kind.lo, kind)


def depths(kind: ElementType) -> Grid:
    """A grid for logarithms of shares: from 0 down."""
    return Grid(float(np.float32(12 / kind.span)), kind.hi, kind)


IMAGE = (2, 3, 5, 6)
WIDE = 1e-3

CASES = [
    *(Case("channels", Softmax.of(grid(WIDE if x.wide else 0.05, kind=x), whole(y), 1), (IMAGE,)) for x, y in pairs()),
    *(
        Case(
            "small shares",
            Softmax.of(grid(WIDE if x.wide else 0.01, kind=x), below(y, 0.04), 1),
            ((2, 60),),
        )
        for x, y in pairs()
    ),
    *(Case("half of the codes", Softmax.of(grid(0.05), whole(y, 0), 1), ((3, 10),)) for y in (S8, S16)),
    *(Case("saturating", Softmax.of(grid(0.4, kind=x), below(x, 0.1), 1), ((3, 10),)) for x in CODES),
    Case("last axis", Softmax.of(grid(0.3), whole(U8), 1), ((3, 10),)),
    Case("rows", Softmax.of(grid(0.3), whole(U8), 2), ((2, 3, 4, 5),)),
    Case("flat", Softmax.of(grid(1e-6), whole(U8), 1), ((2, 300),)),
    Case("steep", Softmax.of(grid(20.0), whole(U8), 2), ((2, 3, 40),)),
    Case("steep", Softmax.of(grid(20.0, kind=U16), whole(U16), 2), ((2, 3, 40),)),
    *(
        Case("levels", LogSoftmax.of(grid(WIDE if x.wide else 0.05, kind=x), depths(y), 1), (IMAGE,))
        for x, y in pairs()
    ),
    *(Case("levels that saturate", LogSoftmax.of(grid(2.0, kind=x), depths(x), 1), ((3, 40),)) for x in CODES),
    Case("levels of one", LogSoftmax.of(grid(0.3), depths(U8), 1), ((5, 1),)),
    Case("levels of equals", LogSoftmax.of(grid(1e-6), depths(U16), 1), ((2, 300),)),
    Case("levels of rows", LogSoftmax.of(grid(0.3), depths(S16), 2), ((2, 3, 4, 5),)),
    *(
        Case("behind a mask", Softmax.of(grid(0.05, kind=t), whole(t), 3, hides), ((1, 2, 5, 7), (1, 1, 1, 7)))
        for t in CODES
        for hides in (0, 1)
    ),
    *(
        Case("a mask of all lines", Softmax.of(grid(0.05), below(U8, 0.3), 1, hides), ((3, 4), (3, 4)))
        for hides in (0, 1)
    ),
    Case("a line that is hidden whole", Softmax.of(grid(0.05), whole(U8), 2, 1), ((2, 40, 2), (40, 2))),
    Case("a line that is hidden whole", Softmax.of(grid(0.05), below(S16, 0.3), 2, 0), ((2, 40, 2), (1, 40, 1))),
    Case("windows", Softmax.of(grid(0.05), whole(U8), 4, 1), ((1, 2, 3, 4, 5), (1, 2, 1, 4, 5))),
    Case("channels behind a mask", Softmax.of(grid(0.05), whole(S8), 1, 1), ((2, 3, 4, 5), (3, 1, 5))),
]
