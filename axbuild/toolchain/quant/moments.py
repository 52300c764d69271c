"""The expected error of a grid from a histogram, in constant time a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.ranges import Grids
from axbuild.toolchain.quant.statistics import Missed, Observed


@dataclass(frozen=True)
class Moments:
    """Running sums over bins, float64 [bins + 1]: of counts, counts x and counts x^2, x a bin's middle.

    What the bin from zero on holds above its neighbours are zeros, as a Relu makes them: every grid has them exactly,
    and they are left out.

    A running sum has one order of additions; numpy's plain sum has that of the instruction set.
    """

    histogram: Histogram
    missed: Missed
    counts: Array
    sums: Array
    squares: Array

    @staticmethod
    def of(seen: Observed) -> Moments:
        histogram = seen.histogram
        middles = np.ldexp(np.arange(len(histogram.counts)) + (histogram.first + 0.5), histogram.exponent)
        counts = histogram.counts.astype(np.float64)
        if 0 <= -histogram.first < len(counts):
            counts[-histogram.first] -= _zeros(counts, -histogram.first)
        runs = [np.concatenate([[0.0], np.cumsum(each)]) for each in (counts, counts * middles, counts * middles**2)]
        return Moments(histogram, seen.missed, *runs)

    def errors(self, grids: Grids, *, cutting: float = 1.0) -> Array:
        """float64 [n]: the squared error of all values on each grid; of those it cuts off, so many times that.

        Values outside a grid are off by their distance to its end, those that round to zero by themselves, the others
        by step^2 / 12 on average.
        """
        step = grids.steps
        lo, hi = grids.reals(grids.type.lo), grids.reals(grids.type.hi)
        first, last = below(self.histogram, lo), below(self.histogram, hi)
        near, far = (np.clip(below(self.histogram, half), first, last) for half in (-step / 2, step / 2))
        cut = self._distances(0, first, lo) + self._distances(last, len(self.counts) - 1, hi)
        cut = np.maximum(cut, 0.0) + self.missed.distances(lo, hi)
        rounded = self.counts[last] - self.counts[first] - (self.counts[far] - self.counts[near])
        total: Array = cutting * cut + (self.squares[far] - self.squares[near]) + rounded * (step * step / 12)
        return total

    def _distances(self, first: int | Array, last: int | Array, end: Array) -> Array:
        """The sum over a run of bins of (x - end)^2."""
        count, total, square = (run[last] - run[first] for run in (self.counts, self.sums, self.squares))
        found: Array = square - 2 * end * total + end * end * count
        return found


def _zeros(counts: Array, place: int) -> float:
    beside = [counts[index] for index in (place - 1, place + 1) if 0 <= index < len(counts)]
    return float(max(0.0, counts[place] - max(beside, default=0.0)))


def below(histogram: Histogram, reals: Array) -> Array:
    """How many bins have their middles below each of these."""
    places = np.ceil(np.ldexp(reals, -histogram.exponent) - (histogram.first + 0.5))
    return np.clip(places, 0, len(histogram.counts)).astype(np.int64)
