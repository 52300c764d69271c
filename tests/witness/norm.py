"""Normalisation, for the three witnesses."""

import math
from functools import cache

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, S8, S16, U8, U16
from axbuild.toolchain.kinds.norm import LayerNorm
from witness.base import Case, clamp, each, grid, oracle, pairs


@oracle.register
def _(kind: LayerNorm, x):
    """Python's float is float64; its int has no end, so the exact form is exact as it stands."""
    kept = x.ndim - len(kind.sizes)
    count = math.prod(kind.sizes)
    weight, bias = (np.broadcast_to(array, kind.sizes) for array in (kind.weight, kind.bias))
    step = float(kind.step)

    @cache
    def row(at):
        codes = [int(code) for code in x[at].ravel()]
        centre = round(sum(codes) / count) if kind.subtract_mean else kind.x.zero
        s1 = sum(code - centre for code in codes) if kind.subtract_mean else 0
        s2 = sum((code - centre) ** 2 for code in codes)
        variance = float(count * s2 - s1 * s1) if kind.exact else float(count) * float(s2) - float(s1) * float(s1)
        return centre, s1, math.sqrt(variance + float(kind.epsilon))

    def value(at):
        lead, inner = at[:kept], at[kept:]
        centre, s1, root = row(lead)
        unit = float(count * (int(x[at]) - centre) - s1) / root
        real = unit * (float(weight[inner]) * step) + float(bias[inner]) + 0.5
        return clamp(kind.y.zero + math.floor(real), kind.lo, kind.hi)

    return each(kind, value, x)


def norm(
    x, y, shape, epsilon=1e-5, subtract_mean=True, lo=None, hi=None, gain=1.0, sizes=(), stored="FP32"
) -> LayerNorm:
    """shape: of weight and bias; sizes: of the normalised axes, where those are others."""
    rng = np.random.default_rng(sum(shape))
    weight, bias = rng.normal(gain, 0.3, shape).astype(np.float32), rng.normal(0, 0.3, shape).astype(np.float32)
    clamped = y.type.lo if lo is None else lo, y.type.hi if hi is None else hi
    return LayerNorm.of(x, y, sizes or shape, weight, bias, epsilon, *clamped, subtract_mean, stored)


def of_type(t):
    """A grid for values of a few units."""
    return grid(6 / t.span, kind=t)


CASES = (
    [
        Case("a vector", norm(grid(0.1, kind=x), of_type(y), (9,), subtract_mean=mean), ((3, 9),))
        for x, y in pairs()
        for mean in (True, False)
    ]
    + [
        case
        for t in CODES
        for mean in (True, False)
        for case in (
            Case("tokens", norm(grid(0.02, t.lo, t), of_type(t), (16,), 0.3, mean), ((2, 5, 16),)),
            Case("last two axes", norm(grid(0.02, t.hi, t), of_type(t), (3, 4), subtract_mean=mean), ((2, 5, 3, 4),)),
            Case("clamped", norm(of_type(t), of_type(t), (7,), 1e-5, mean, t.lo + 90, t.hi - 60), ((4, 7),)),
        )
    ]
    + [
        Case("columns of an image", norm(of_type(U8), of_type(U8), (6,)), ((2, 3, 5, 6),)),
        Case("a volume", norm(of_type(S8), of_type(U16), (2, 3, 4)), ((2, 2, 3, 4),)),
        Case("one value a channel", norm(of_type(U8), of_type(U8), (3, 1, 1), sizes=(3, 4, 5)), ((2, 3, 4, 5),)),
        Case("one value a column", norm(of_type(U16), of_type(S8), (1, 5), sizes=(4, 5)), ((2, 3, 4, 5),)),
        Case("one value", norm(of_type(U8), of_type(U8), (1,), sizes=(6,), subtract_mean=False), ((5, 6),)),
        Case("one element", norm(of_type(U8), of_type(U8), (1,)), ((5, 1),)),
        Case("scale in S32", norm(of_type(U8), of_type(S8), (9,), gain=0.0, stored="S32"), ((3, 9),)),
        Case("scale in S32, 16 bits", norm(of_type(U16), of_type(U16), (3, 4), stored="S32"), ((2, 3, 4),)),
        Case("scale in U32", norm(of_type(U8), of_type(U8), (9,), gain=3.0, stored="U32"), ((3, 9),)),
        Case("scale in U32, 16 bits", norm(of_type(S16), of_type(U16), (9,), gain=3.0, stored="U32"), ((3, 9),)),
        Case("saturating", norm(of_type(U8), of_type(U8), (8,), gain=100.0), ((4, 8),)),
        Case("the last exact", norm(of_type(U16), of_type(U16), (46341,)), ((1, 46341),)),
        Case("long", norm(of_type(U16), of_type(U16), (46342,)), ((1, 46342),)),
        Case("long", norm(grid(0.1, 0, U16), of_type(U16), (46342,), subtract_mean=False), ((1, 46342),)),
    ]
)
