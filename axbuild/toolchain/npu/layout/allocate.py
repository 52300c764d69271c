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

    def take(self, size: int) -> int | None:
        """Address of `size` free bytes, or None; the lowest gap that holds them."""
        size = aligned(size)
        at = self.begin
        for start, stop in self.used:
            if start - at >= size:
                break
            at = stop
        if at + size > self.end:
            return None
        insort(self.used, (at, at + size))
        self.peak = max(self.peak, at + size)
        return at

    def give_back(self, address: int) -> None:
        """Frees what `take` returned."""
        self.used = [piece for piece in self.used if piece[0] != address]

    def largest_gap(self) -> int:
        """Bytes of the largest piece that `take` could return."""
        edges = [(self.begin, self.begin), *self.used, (self.end, self.end)]
        return max(after[0] - before[1] for before, after in pairwise(edges))
