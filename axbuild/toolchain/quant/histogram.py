"""Counts of values in bins whose width is a power of two and whose edges are multiples of it.

Such bins merge pairwise without loss when the range grows, so the histogram of two sets of values is the same
whether they were counted together or apart, in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array

SAMPLED = 4096
"""Most values of a tensor that are counted, a sample"""
BINS = 2048
"""Most bins a histogram has"""
DIGITS = 30
"""A bin is at least 2^-30 of the largest magnitude, so that indices fit 32 bits"""
PART = 1 << 14
"""Values that are counted at once: what comes between them and their bins stays in the cache"""
FINEST = -180
"""Exponent of the bins of a tensor that holds zeros only: finer than any float32"""


@dataclass(frozen=True)
class Histogram:
    """Bin k counts the values in [(first + k) w, (first + k + 1) w), w = 2^exponent. counts: int64, ends not 0."""

    exponent: int
    first: int
    counts: Array

    @staticmethod
    def of(values: Array) -> Histogram:
        """The finest histogram of float32 values (one at least, all finite) that has at most 2,048 bins."""
        low, high = float(values.min()), float(values.max())
        exponent = _finest(low, high)
        first = math.floor(math.ldexp(low, -exponent))
        counts = np.zeros(math.floor(math.ldexp(high, -exponent)) - first + 1, np.int64)
        for start in range(0, len(values), PART):
            scaled = np.multiply(values[start : start + PART], 2.0**-exponent, dtype=np.float64)
            bins = np.floor(scaled, out=scaled).astype(np.int64)
            bins -= first
            counts += np.bincount(bins, minlength=len(counts))
        return Histogram(exponent, first, counts)

    def coarser(self, exponent: int) -> Histogram:
        """The same counts in bins 2^exponent wide; exponent must not be below the present one."""
        shift = min(exponent - self.exponent, 62)  # indices have 32 bits, so 62 leaves only -1 and 0
        bins = np.arange(self.first, self.first + len(self.counts)) >> shift
        counts = np.zeros(int(bins[-1] - bins[0]) + 1, np.int64)
        np.add.at(counts, bins - bins[0], self.counts)
        return Histogram(exponent, int(bins[0]), counts)

    def merged(self, other: Histogram) -> Histogram:
        """Both together; exact, and the same in any order."""
        exponent = max(self.exponent, other.exponent)
        while True:
            a, b = self.coarser(exponent), other.coarser(exponent)
            first = min(a.first, b.first)
            size = max(a.first + len(a.counts), b.first + len(b.counts)) - first
            if size <= BINS:
                break
            exponent += 1
        counts = np.zeros(size, np.int64)
        for part in (a, b):
            counts[part.first - first : part.first - first + len(part.counts)] += part.counts
        return Histogram(exponent, first, counts)


def well_formed(exponent: int, first: int, counts: Array) -> bool:
    """Whether three numbers from a file could be a histogram's."""
    sizes = 0 < len(counts) <= BINS and FINEST <= exponent <= 128 and abs(first) <= 2**DIGITS
    return bool(sizes and counts.min() >= 0 and counts[0] and counts[-1])


def _finest(low: float, high: float) -> int:
    largest = max(abs(low), abs(high))
    if largest == 0.0:
        return FINEST
    exponent = math.frexp(largest)[1] - DIGITS
    spread = high - low
    if spread > 0.0:
        exponent = max(exponent, math.frexp(spread / BINS)[1] - 1)
    while math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) >= BINS:
        exponent += 1
    return exponent


def stride_of(shape: tuple[int, ...]) -> int:
    """Step that takes at most 4,096 values and, having no factor in common with the rows, meets every column."""
    stride = -(-math.prod(shape) // SAMPLED) or 1
    while stride > 1 and shape and math.gcd(stride, shape[-1]) > 1:
        stride += 1
    return stride
