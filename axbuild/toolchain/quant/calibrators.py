"""From what was observed to a range of reals, and from a range and an element type to a grid of codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import ElementType, Grid
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.statistics import Observed


@dataclass(frozen=True)
class Range:
    """lo <= hi, both finite."""

    lo: float
    hi: float

    @property
    def width(self) -> float:
        """What a grid spans that holds the range and zero."""
        return max(self.hi, 0.0) - min(self.lo, 0.0)

    def union(self, other: Range) -> Range:
        return Range(min(self.lo, other.lo), max(self.hi, other.hi))


Calibrator = Callable[[Observed, ElementType], Range]


def min_max(seen: Observed, kind: ElementType) -> Range:
    """Everything that was observed."""
    return Range(seen.minimum, seen.maximum)


SHARES = np.geomspace(1.0, 1.0 / 64.0, 96)
"""shares of an end of the observed range that MSE tries"""


def mean_squared_error(seen: Observed, kind: ElementType) -> Range:
    """The range with the smallest expected error: the upper end is moved towards zero, then the lower one, then the
    upper one again.

    The error of a grid is taken from the histogram: each bin's values count at its middle; inside the grid's range
    they are off by step^2 / 12 on average, outside by their distance to its end, squared.
    """
    values, counts = _middles(seen.histogram)
    best = Range(seen.minimum, seen.maximum)
    for upper in (True, False, True):
        if (best.hi if upper else -best.lo) > 0.0:
            ends = [_moved(seen, best, upper, float(share)) for share in SHARES]
            errors = [_error(grid_of(candidate, kind), values, counts) for candidate in ends]
            best = ends[int(np.argmin(errors))]
    return best


def _moved(seen: Observed, best: Range, upper: bool, share: float) -> Range:
    return Range(best.lo, seen.maximum * share) if upper else Range(seen.minimum * share, best.hi)


def _middles(histogram: Histogram) -> tuple[Array, Array]:
    """Middle of each bin and its count, both float64; bins without values are left out."""
    full = np.flatnonzero(histogram.counts)
    middles = np.ldexp(full + (histogram.first + 0.5), histogram.exponent)
    return middles, histogram.counts[full].astype(np.float64)


def _error(grid: Grid, values: Array, counts: Array) -> float:
    lo, hi = grid.real(grid.type.lo), grid.real(grid.type.hi)
    outside = values - np.clip(values, lo, hi)
    inside = np.where(outside == 0.0, grid.scale * grid.scale / 12.0, 0.0)
    # A running sum has one order of additions; numpy's plain sum has that of the instruction set.
    return float(np.cumsum(counts * (outside * outside + inside))[-1])


METHODS: dict[str, Calibrator] = {"MinMax": min_max, "MSE": mean_squared_error}


def grid_of(measured: Range, kind: ElementType) -> Grid:
    """The grid of codes from min(lo, 0) to max(hi, 0). Zero is a code.

    Unsigned: scale = f32((hi - lo) / span), zero = rint(-lo / scale). Signed: symmetric, scale = f32(max(|lo|, |hi|) /
    highest code), zero 0.
    """
    smallest = np.finfo(np.float32).tiny
    lo, hi = min(measured.lo, 0.0), max(measured.hi, 0.0)
    if hi - lo == 0.0:
        return Grid(1.0, 0, kind)
    if kind.signed:
        return Grid(float(np.maximum(np.float32(np.float64(max(-lo, hi)) / kind.hi), smallest)), 0, kind)
    scale = np.maximum(np.float32(np.float64(measured.width) / kind.span), smallest)
    zero = int(np.clip(np.rint(-lo / np.float64(scale)), kind.lo, kind.hi))
    return Grid(float(scale), zero, kind)
