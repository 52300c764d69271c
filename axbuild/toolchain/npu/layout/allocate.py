"""Addresses in one memory: first fit over the gaps, in units that every operand may start at."""

from __future__ import annotations

from bisect import insort
from itertools import pairwise

from axbuild.errors import AxError
from axbuild.toolchain.npu.chips.records import ALIGNMENT
from axbuild.toolchain.npu.lower.packing import aligned


class OcmError(AxError):
    """AX404: an operator that does not fit on chip however small its tiles are, which placement keeps off the NPU."""

    code = "AX404"


class Arena:
    """The bytes begin..end of a memory. `peak`: one past the highest byte that was ever in use."""

    def __init__(self, begin: int, end: int) -> None:
        self.begin = -(-begin // ALIGNMENT) * ALIGNMENT  # not `aligned`, which never gives 0
        self.end = end
        self.peak = self.begin
        self.used: list[tuple[int, int]] = []

    def take(self, size: int, high: bool = False) -> int | None:
        """Address of `size` free bytes, or None; at the beginning of the lowest gap that holds them, or at the end of
        the highest."""
        size = aligned(size)
        fitting = [(start, stop) for start, stop in self._gaps() if stop - start >= size]
        if not fitting:
            return None
        at = (fitting[-1][1] - size) // ALIGNMENT * ALIGNMENT if high else fitting[0][0]
        insort(self.used, (at, at + size))
        self.peak = max(self.peak, at + size)
        return at

    def give_back(self, address: int) -> None:
        """Frees what `take` returned."""
        self.used = [piece for piece in self.used if piece[0] != address]

    def free(self) -> int:
        """Bytes that are not in use, in however many pieces."""
        return self.end - self.begin - sum(stop - start for start, stop in self.used)

    def largest_gap(self) -> int:
        """Bytes of the largest piece that `take` could return."""
        return max(stop - start for start, stop in self._gaps())

    def _gaps(self) -> list[tuple[int, int]]:
        """From the beginning to the end; empty ones too."""
        edges = [(self.begin, self.begin), *self.used, (self.end, self.end)]
        return [(before[1], after[0]) for before, after in pairwise(edges)]
