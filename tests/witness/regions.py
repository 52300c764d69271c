"""Regions of a map, for the three witnesses."""

import math
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.codes import CODES, INT32, INT64, U8
from axbuild.toolchain.kinds.regions import Regions
from witness.base import Case, each, grid, oracle, pairs, requantised


@oracle.register
def _(kind: Regions, x, ends, index):
    def samples(start, end, bins, number, size):
        """(position, weight) of all that the samples of a bin read."""
        near, far = start * kind.scale, end * kind.scale
        if kind.half:
            near, far = near - 0.5, far - 0.5
        extent = far - near
        if not kind.half and extent < 1.0:
            extent = 1.0
        step = extent / bins
        for i in range(kind.samples):
            place = (near + number * step) + (i + 0.5) * step / kind.samples
            place = 0.0 if math.isnan(place) else place
            if place < -1.0 or place > size:
                continue
            steps = math.floor(min(max(place, 0.0), size - 1.0) * 2048 + 0.5)
            yield steps // 2048, 2048 - steps % 2048
            yield min(steps // 2048 + 1, size - 1), steps % 2048

    def value(at):
        region, channel, row, column = at
        left, top, right, bottom = (float(v) for v in ends[region])
        total = 0
        for i, high in samples(top, bottom, kind.rows, row, x.shape[2]):
            for j, wide in samples(left, right, kind.columns, column, x.shape[3]):
                total += high * wide * (int(x[int(index[region]), channel, i, j]) - kind.x.zero)
        return requantised(total, kind.multiplier, kind.y, kind.lo, kind.hi, True)

    return each(kind, value, x, ends, index)


@dataclass(frozen=True)
class Cut(Case):
    """A case of regions inside the map, across its rim, outside of it and of no size."""

    top: int = 2
    least: int = -2

    def inputs(self):
        x, ends, _ = super().inputs()
        rng = np.random.default_rng(len(self.name))
        found = np.sort(rng.uniform(-3, 14, ends.shape).astype(np.float32).reshape(-1, 2, 2), axis=1).reshape(
            ends.shape
        )
        found[0] = 2.0, 3.0, 2.0, 3.0
        found[1] = 20.0, 20.0, 30.0, 30.0
        found[2, 3] = np.nan
        index = np.arange(len(ends)) % len(x) - len(x) * (np.arange(len(ends)) % 2)
        return [x, found, index.astype(self.kind.index.dtype)]


def cut(x=U8, y=U8, index=INT64, bins=(2, 3), samples=2, scale=0.5, half=True, gain=1.0):
    grids = grid(0.02, kind=x), grid(0.02 * gain * x.span / y.span, kind=y)
    return Regions.of(*grids, index, bins, samples, scale, half, y.lo, y.hi)


SHAPES = (2, 3, 5, 6), (6, 4), (6,)
CASES = [
    *(Cut("types", cut(x, y), SHAPES) for x, y in pairs()),
    *(
        Cut("rules", cut(half=half, samples=samples, index=INT32), SHAPES)
        for half in (True, False)
        for samples in (1, 3)
    ),
    *(Cut("saturating", cut(t, t, gain=0.3, scale=1.0), SHAPES) for t in CODES),
    Cut("one bin", cut(bins=(1, 1), samples=4), SHAPES),
]
