"""Sums of float32 values that are exact, so that shards merge to the same bits in any order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from axbuild.toolchain.graph import Array

STEP = 16
"""bits between two parts"""
LOWEST, HIGHEST = -176, 128
"""exponents of the lowest and highest part that float32 values need, the smallest subnormal 2^-149 among them"""
MOST = 1 << 23
"""additions that a part of 64 bits takes: one adds less than 2^40"""


@dataclass
class ExactSum:
    """A vector of sums, each of counts 2^exponent over all parts. parts: exponent, a multiple of 16 -> int64 [c]."""

    parts: dict[int, Array] = field(default_factory=dict)

    def add(self, values: Array) -> None:
        """Add float32 [c], or each row of [n, c], all finite."""
        fraction, exponent = np.frexp(values)
        digits = (fraction * np.float32(1 << 24)).astype(np.int64)
        low = exponent.astype(np.int64) - 24
        part = low // STEP * STEP
        digits <<= low - part
        for place in range(int(part.min()), int(part.max()) + 1, STEP):
            own = np.where(part == place, digits, 0)
            if own.any():
                self._add(place, own.reshape(-1, own.shape[-1]).sum(axis=0))

    def _add(self, place: int, counts: Array) -> None:
        self.parts[place] = self.parts[place] + counts if place in self.parts else counts

    def merged(self, other: ExactSum) -> ExactSum:
        """Both together: exact, and the same in any order."""
        total = ExactSum(dict(self.parts))
        for place, counts in other.parts.items():
            total._add(place, counts)
        return total

    def values(self, channels: int) -> Array:
        """float64 [channels]: the sums, the largest part added last."""
        total = np.zeros(channels)
        for place in sorted(self.parts):
            total += np.ldexp(self.parts[place].astype(np.float64), place)
        return total


def well_formed(parts: Mapping[int, Array], channels: int) -> bool:
    """Whether numbers from a file could be a sum's."""
    sound = all(isinstance(place, int) and LOWEST <= place <= HIGHEST and place % STEP == 0 for place in parts)
    return sound and all(counts.shape == (channels,) for counts in parts.values())
