"""Arithmetic on two activations that are codes, for the three witnesses."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.codes import CODES, S8, S16, U8, U16, wide
from witness.base import Case, clamp, each, grid, oracle, pairs, requantised

IMAGE = (2, 3, 5, 6)
SCALES = {"add": (0.03, 0.011, 0.035), "sub": (0.011, 0.03, 0.04), "mul": (0.02, 0.01, 0.05), "div": (0.03, 0.02, 0.1)}


def shared(kind: Binary) -> Callable[[int, int], int]:
    """The recipe of Add and Sub: 22-bit integers from the exact ratios, one shift for both, half up."""
    ratios = [Fraction(s / kind.y.scale) for s in (kind.a.scale, kind.b.scale)]
    shift = min(22 - math.frexp(float(max(ratios)))[1], 52)
    left, right = (round(ratio * 2**shift) for ratio in ratios)
    sign, half = 1 if kind.op == "add" else -1, 1 << (shift - 1)
    return lambda a, b: kind.y.zero + ((a * left + sign * b * right + half) >> shift)


def product(kind: Binary) -> Callable[[int, int], int]:
    broad = wide(kind.a, kind.b, kind.y)
    return lambda a, b: requantised(a * b, kind.multiplier, kind.y, kind.lo, kind.hi, broad)


def quotient(kind: Binary) -> Callable[[int, int], int]:
    ratio = kind.a.scale / (kind.b.scale * kind.y.scale)

    def divided(a: int, b: int) -> int:
        if not b:
            return kind.y.zero if not a else kind.hi if a > 0 else kind.lo
        return kind.y.zero + math.floor(a * ratio / b + 0.5)

    return divided


RULES = {"add": shared, "sub": shared, "mul": product, "div": quotient}


@oracle.register
def _(kind: Binary, a, b):
    shape = kind.output_shape(a.shape, b.shape)
    a, b = np.broadcast_to(a, shape), np.broadcast_to(b, shape)
    rule = RULES[kind.op](kind)

    def value(at):
        return clamp(rule(int(a[at]) - kind.a.zero, int(b[at]) - kind.b.zero), kind.lo, kind.hi)

    return each(kind, value, a, b)


def binary(op, a=U8, b=U8, y=U8, scales=None, zeros=(None, None, None), lo=None, hi=None) -> Binary:
    """Grids off the middle unless `zeros` says where; no clamp unless lo or hi does."""
    grids = [grid(s, z, kind) for s, z, kind in zip(scales or SCALES[op], zeros, (a, b, y), strict=True)]
    return Binary.of(op, *grids, y.lo if lo is None else lo, y.hi if hi is None else hi)


MIXED = [(U8, S16, U8), (S8, U8, U16), (U16, S8, S16), (S16, U16, S8)]
HALVES = {"add": (0.5, 0.25, 1.0), "sub": (0.5, 0.25, 1.0), "mul": (0.5, 1.0, 1.0), "div": (1.0, 2.0, 1.0)}
SHAPES = (IMAGE, IMAGE)

CASES = [
    *(Case("same shape", binary(op, a, a, y), ((3, 60), (3, 60))) for op in RULES for a, y in pairs()),
    *(Case("mixed operands", binary(op, *types), SHAPES) for op in RULES for types in MIXED),
    *(
        Case(
            "ties, zeros at the ends", binary(op, t, t, t, HALVES[op], (t.lo, t.hi, t.hi), t.lo + 3), ((3, 60), (3, 60))
        )
        for op in RULES
        for t in CODES
    ),
    *(
        Case("saturating", binary(op, t, t, t, (9.0, 5.0, 0.01), hi=t.hi - 5), ((90,), (90,)))
        for op in RULES
        for t in CODES
    ),
    Case("channel", binary("add", zeros=(0, 255, 0)), (IMAGE, (3, 1, 1))),
    Case("row of rank 1", binary("sub"), ((6,), IMAGE)),
    Case("scalar-like", binary("add", y=S16), ((1, 1), IMAGE)),
    Case("both broadcast", binary("mul"), ((2, 1, 4), (3, 1))),
    Case("one input vanishes", binary("add", scales=(1e-9, 0.7, 0.6)), SHAPES),
    Case("batch of one", binary("div"), ((1, 3, 5, 6), IMAGE)),
]
