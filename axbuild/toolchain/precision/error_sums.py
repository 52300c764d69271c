"""Values beside the codes that stand for them, summed over any number of arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.likeness import cosine_from, snr_db

BLOCK = 1 << 16
"""elements that are looked at together: they stay in the cache"""


@dataclass(frozen=True)
class ErrorSums:
    """Of x and what was made of it, x + e, over `count` elements: sums of x x, x e and e e, and the largest |e|."""

    count: int
    signal: float
    crossed: float
    noise: float
    largest: float

    @property
    def cosine(self) -> float:
        return cosine_from(self.signal, self.signal + 2 * self.crossed + self.noise, self.signal + self.crossed)

    @property
    def snr_db(self) -> float:
        return snr_db(self.signal, self.noise)

    @property
    def mse(self) -> float:
        return self.noise / self.count


class ErrorMeter:
    """Adds up to a ErrorSums."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Array = np.zeros(3)
        self.largest = 0.0

    def add(self, exact: Array, made: Array, edge: Edge) -> None:
        """exact: float32; made: as many elements, codes where the edge is a grid."""
        x, y = exact.reshape(-1), made.reshape(-1)
        if x.size != y.size:
            raise ValueError(f"{list(exact.shape)} beside {list(made.shape)}")
        self.count += x.size
        for start in range(0, x.size, BLOCK):
            a = x[start : start + BLOCK]
            e = reals(y[start : start + BLOCK], edge)
            e -= a
            self.sums += (np.dot(a, a), np.dot(a, e), np.dot(e, e))
            self.largest = max(self.largest, float(e.max()), -float(e.min()))

    def total(self) -> ErrorSums | None:
        """None where there was nothing, or a value was not finite."""
        signal, crossed, noise = map(float, self.sums)
        finite = math.isfinite(signal) and math.isfinite(noise)
        return ErrorSums(self.count, signal, crossed, noise, self.largest) if self.count and finite else None


class Clipped:
    """Counts the values that lie more than half a step beyond the ends of a grid."""

    def __init__(self, grid: Grid) -> None:
        self.lo, self.hi = grid.real(grid.type.lo) - grid.scale / 2, grid.real(grid.type.hi) + grid.scale / 2
        self.count = self.beyond = 0

    def add(self, exact: Array) -> None:
        self.count += exact.size
        if exact.size and (exact.min() < self.lo or exact.max() > self.hi):
            self.beyond += int(np.count_nonzero((exact < self.lo) | (exact > self.hi)))

    @property
    def share(self) -> float:
        return self.beyond / self.count if self.count else 0.0


def reals(values: Array, edge: Edge) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A new float32 array of what the values stand for."""
    found = values.astype(np.float32)
    if isinstance(edge, Grid):
        found -= np.float32(edge.zero)
        found *= np.float32(edge.scale)
    return found


def rounded(values: Array, grid: Grid) -> Array:
    """The reals that float32 values become on a grid."""
    codes = np.floor(values / np.float32(grid.scale) + np.float32(0.5)) + np.float32(grid.zero)
    found: Array = (np.clip(codes, grid.type.lo, grid.type.hi) - np.float32(grid.zero)) * np.float32(grid.scale)
    return found
