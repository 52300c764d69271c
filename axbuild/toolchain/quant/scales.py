"""From a range of reals to a grid of codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.ops.base import CODE_MAX, Grid


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

    @staticmethod
    def of(grid: Grid) -> Range:
        """The reals that a grid's codes stand for."""
        return Range(grid.scale * (0 - grid.zero), grid.scale * (CODE_MAX - grid.zero))


def min_max(measured: Range) -> Grid:
    """The U8 grid from min(lo, 0) to max(hi, 0): zero is a code, scale = f32((hi - lo) / 255)."""
    lo = min(measured.lo, 0.0)
    width = np.float64(measured.width)
    if width == 0.0:
        return Grid(1.0, 0)
    scale = np.maximum(np.float32(width / CODE_MAX), np.finfo(np.float32).tiny)
    zero = int(np.clip(np.rint(-lo / np.float64(scale)), 0, CODE_MAX))
    return Grid(float(scale), zero)


METHODS: dict[str, Callable[[Range], Grid]] = {"MinMax": min_max}
