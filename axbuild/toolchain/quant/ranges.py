"""From a range of reals and an element type to a grid of codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import ElementType, Grid

NOTHING_SEEN = 1.0
"""upper end of the grid of a tensor that is always 0: its step is a factor of the step of the next operator's bias, and
a step of 1 would round the biases that are all such an operator has"""


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


@dataclass(frozen=True)
class Grids:
    """Many grids of one type: scale float32 [n], zero int64 [n], as `Grid` has them."""

    scale: Array
    zero: Array
    type: ElementType

    def __getitem__(self, index: int) -> Grid:
        return Grid(float(self.scale[index]), int(self.zero[index]), self.type)

    @property
    def steps(self) -> Array:
        """float64 [n]"""
        wide: Array = self.scale.astype(np.float64)
        return wide

    def reals(self, code: int) -> Array:
        """float64 [n]: what a code stands for on each."""
        found: Array = self.steps * (code - self.zero)
        return found


def grid_of(measured: Range, kind: ElementType) -> Grid:
    """The grid of codes from min(lo, 0) to max(hi, 0), of [0, 0] that of [0, 1]. Zero is a code.

    Unsigned: scale = f32((hi - lo) / span), zero = rint(-lo / scale). Signed: symmetric, scale = f32(max(|lo|, |hi|) /
    highest code), zero 0.
    """
    return grids_of(np.array([measured.lo]), np.array([measured.hi]), kind)[0]


def grids_of(lows: Array, highs: Array, kind: ElementType) -> Grids:
    """`grid_of` for each pair of ends, float64 [n]."""
    lo, hi = np.minimum(lows, 0.0), np.maximum(highs, 0.0)
    hi = np.where(hi == lo, NOTHING_SEEN, hi)
    width = np.maximum(-lo, hi) / kind.hi if kind.signed else (hi - lo) / kind.span
    scale = np.maximum(width.astype(np.float32), np.finfo(np.float32).tiny)
    if kind.signed:
        return Grids(scale, np.zeros(len(scale), np.int64), kind)
    zero = np.clip(np.rint(-lo / scale.astype(np.float64)), kind.lo, kind.hi)
    return Grids(scale, zero.astype(np.int64), kind)
