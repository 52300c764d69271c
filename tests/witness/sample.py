"""Pixels at computed coordinates, for the three witnesses."""

import math

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, S8, U8, U16
from axbuild.toolchain.kinds.sample import MODES, PADDINGS, FloatSample, Sample
from witness.base import Case, each, grid, oracle, pairs, requantised
from witness.float_function import narrowed


def steps(kind, coordinate, size, one):
    t = coordinate + 1.0
    place = t * ((size - 1) * 0.5) if kind.corners else t * (size * 0.5) - 0.5
    place = 0.0 if math.isnan(place) else place
    least, most = (0.0, size - 1.0) if kind.padding == "border" else (-2.0, size + 1.0)
    place = min(max(place, least), most)
    return one * round(place) if kind.mode == "nearest" else math.floor(place * one + 0.5)


@oracle.register
def _(kind: FloatSample, x, places):
    one = 2**24

    def line(n, c, i, right):
        parts = []
        for j, wide in ((right // one, one - right % one), (right // one + 1, right % one)):
            inside = 0 <= i[0] < x.shape[2] and 0 <= j < x.shape[3]
            h, w = min(max(i[0], 0), x.shape[2] - 1), min(max(j, 0), x.shape[3] - 1)
            parts.append(float(x[n, c, h, w]) * float(i[1] * wide if inside else 0))
        return parts[0] + parts[1]

    def value(at):
        n, c, row, column = at
        down = steps(kind, float(places[n, row, column, 1]), x.shape[2], one)
        right = steps(kind, float(places[n, row, column, 0]), x.shape[3], one)
        near, far = (down // one, one - down % one), (down // one + 1, down % one)
        return narrowed((line(n, c, near, right) + line(n, c, far, right)) / 2.0**48)

    return each(kind, value, x, places)


@oracle.register
def _(kind: Sample, x, places):
    def value(at):
        n, c, row, column = at
        down = steps(kind, float(places[n, row, column, 1]), x.shape[2], 2048)
        right = steps(kind, float(places[n, row, column, 0]), x.shape[3], 2048)
        total = 0
        for i, high in ((down // 2048, 2048 - down % 2048), (down // 2048 + 1, down % 2048)):
            for j, wide in ((right // 2048, 2048 - right % 2048), (right // 2048 + 1, right % 2048)):
                if 0 <= i < x.shape[2] and 0 <= j < x.shape[3]:
                    total += high * wide * (int(x[n, c, i, j]) - kind.x.zero)
        return requantised(total, kind.multiplier, kind.y, kind.lo, kind.hi, True)

    return each(kind, value, x, places)


class Sampled(Case):
    """A case whose places lie in the map, at its rim and outside of it, and nowhere."""

    def inputs(self):
        x, places = super().inputs()
        rng = np.random.default_rng(len(self.name))
        found = rng.uniform(-1.4, 1.4, places.shape).astype(np.float32)
        special = [-1.0, 1.0, 0.0, -0.75, np.nan, np.inf, -np.inf, 1e30, 0.5, -1.25, 1e-20]
        found.reshape(-1)[: len(special)] = special
        return [x, found]


def sampling(x=U8, y=U8, mode="linear", padding="zeros", corners=0, lo=None, hi=None, gain=1.0):
    ends = y.lo if lo is None else lo, y.hi if hi is None else hi
    return Sample.of(grid(0.02, kind=x), grid(0.02 * gain * x.span / y.span, kind=y), mode, padding, corners, *ends)


MAP, PLACES = (2, 3, 5, 6), (2, 4, 3, 2)
CASES = [
    *(Sampled("types", sampling(x, y), (MAP, PLACES)) for x, y in pairs()),
    *(
        Sampled("reals", FloatSample(mode, padding, corners), (MAP, PLACES))
        for mode in MODES
        for padding in PADDINGS
        for corners in (0, 1)
    ),
    *(
        Sampled("rules", sampling(mode=mode, padding=padding, corners=corners), (MAP, PLACES))
        for mode in MODES
        for padding in PADDINGS
        for corners in (0, 1)
    ),
    *(Sampled("saturating", sampling(t, t, gain=0.3), (MAP, PLACES)) for t in CODES),
    Sampled("clamped", sampling(S8, S8, lo=-20, hi=50), (MAP, PLACES)),
    Sampled("one pixel", sampling(U16, U8, corners=1), ((1, 2, 1, 1), (1, 3, 3, 2))),
    Sampled("larger than the map", sampling(), ((1, 2, 2, 2), (1, 7, 9, 2))),
]
