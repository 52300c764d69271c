"""Stage: the statistics of all parts of an observation together: shards of the samples, segments of the model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from axbuild.toolchain.quant.statistics import Statistics, StatisticsError


@dataclass(frozen=True)
class MergeParams:
    """Nothing to choose."""


def merge(parts: list[Path], out: Path, *, params: MergeParams) -> None:
    """Write `statistics.msgpack`, the union of the `parts`: those of the same tensors are of other samples, the others
    of other tensors, whose order is that of their parts. Raises StatisticsError on a bad part."""
    if not parts:
        raise StatisticsError("there are no statistics to merge")
    segments: dict[str, Statistics] = {}
    for part in map(Statistics.read, parts):
        first = next(iter(part.tensors), "")
        segments[first] = segments[first].merged(part) if first in segments else part
    reduce(Statistics.joined, segments.values()).write(out / "statistics.msgpack")
