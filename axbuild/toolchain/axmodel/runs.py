"""How samples that come together run: as the compiled batches of each subgraph, largest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def split(samples: int, batches: Sequence[int]) -> list[int]:
    """The compiled batches that `samples` run as, largest first; the smallest one also takes a rest below it."""
    chosen: list[int] = []
    for batch in sorted(batches, reverse=True):
        chosen += [batch] * (samples // batch)
        samples %= batch
    return [*chosen, min(batches)] if samples else chosen


def in_batches(samples: Sequence[T], batches: Sequence[int]) -> Iterator[tuple[Sequence[T], int]]:
    """(those that run together, the batch they run as), in order, split as above."""
    start = 0
    for batch in split(len(samples), batches):
        yield samples[start : start + batch], batch
        start += batch
