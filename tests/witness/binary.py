"""Arithmetic on two activations that are codes, for the three witnesses."""

import math
from fractions import Fraction

import numpy as np

from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.codes import CODES, S8, S16, U8, U16, wide
from witness.base import Case, clamp, each, grid, oracle, pairs, requantised

IMAGE = (2, 3, 5, 6)
OPS = ("add", "sub", "mul", "div")
SCALES = {"add": (0.03, 0.011, 0.035), "sub": (0.011, 0.03, 0.04), "mul": (0.02, 0.01, 0.05), "div": (0.03, 0.02, 0.1)}


def shared(kind: Binary, a: int, b: int) -> int:
    """The recipe of Add and Sub: 22-bit integers from the exact ratios, one shift for both, half up."""
    ratios = [Fraction(s / kind.y.scale) for s in (kind.a.scale, kind.b.scale)]
    shift = min(22 - math.frexp(float(max(ratios)))[1], 52)
    left, right = (round(ratio * 2**shift) for ratio in ratios)
    total = (a - kind.a.zero) * left + (b - kind.b.zero) * right * (1 if kind.op == "add" else -1)
    return clamp(kind.y.zero + ((total + (1 << (shift - 1))) >> shift), kind.lo, kind.hi)


def quotient(kind: Binary, a: int, b: int) -> int:
    above, below = a - kind.a.zero, b - kind.b.zero
    if not below:
        return clamp(kind.y.zero, kind.lo, kind.hi) if not above else kind.hi if above > 0 else kind.lo
    real = above * (kind.a.scale / (kind.b.scale * kind.y.scale)) / below
    return clamp(kind.y.zero + math.floor(real + 0.5), kind.lo, kind.hi)


def value(kind: Binary, a: int, b: int) -> int:
    """The code of y for one pair of codes."""
    if kind.op == "mul":
        product = (a - kind.a.zero) * (b - kind.b.zero)
        return requantised(product, kind.multiplier, kind.y, kind.lo, kind.hi, wide(kind.a, kind.b, kind.y))
    return quotient(kind, a, b) if kind.op == "div" else shared(kind, a, b)


@oracle.register
def _(kind: Binary, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    return each(kind, lambda at: value(kind, int(a[at]), int(b[at])), a, b)


def binary(op, a=U8, b=U8, y=U8, scales=None, zeros=(None, None, None), lo=None, hi=None) -> Binary:
    """Grids off the middle unless `zeros` says where; no clamp unless lo or hi does."""
    grids = [grid(s, z, kind) for s, z, kind in zip(scales or SCALES[op], zeros, (a, b, y), strict=True)]
    return Binary.of(op, *grids, y.lo if lo is None else lo, y.hi if hi is None else hi)


MIXED = [(U8, S16, U8), (S8, U8, U16), (U16, S8, S16), (S16, U16, S8)]
HALVES = {"add": (0.5, 0.25, 1.0), "sub": (0.5, 0.25, 1.0), "mul": (0.5, 1.0, 1.0), "div": (1.0, 2.0, 1.0)}
SHAPES = (IMAGE, IMAGE)

CASES = [
    *(Case("same shape", binary(op, a, a, y), ((3, 60), (3, 60))) for op in OPS for a, y in pairs()),
    *(Case("mixed operands", binary(op, *types), SHAPES) for op in OPS for types in MIXED),
    *(
        Case(
            "ties, zeros at the ends", binary(op, t, t, t, HALVES[op], (t.lo, t.hi, t.hi), t.lo + 3), ((3, 60), (3, 60))
        )
        for op in OPS
        for t in CODES
    ),
    *(
        Case("saturating", binary(op, t, t, t, (9.0, 5.0, 0.01), hi=t.hi - 5), ((90,), (90,)))
        for op in OPS
        for t in CODES
    ),
    Case("channel", binary("add", zeros=(0, 255, 0)), (IMAGE, (3, 1, 1))),
    Case("row of rank 1", binary("sub"), ((6,), IMAGE)),
    Case("scalar-like", binary("add", y=S16), ((1, 1), IMAGE)),
    Case("both broadcast", binary("mul"), ((2, 1, 4), (3, 1))),
    Case("one input vanishes", binary("add", scales=(1e-9, 0.7, 0.6)), SHAPES),
    Case("batch of one", binary("div"), ((1, 3, 5, 6), IMAGE)),
]
