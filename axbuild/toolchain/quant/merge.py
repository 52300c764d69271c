"""Stage: the statistics of all shards together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from axbuild.toolchain.quant.statistics import Statistics, StatisticsError


@dataclass(frozen=True)
class MergeParams:
    """Nothing to choose."""


def merge(parts: list[Path], out: Path, *, params: MergeParams) -> None:
    """Write `statistics.msgpack`, the union of the `parts` in their order; raises StatisticsError on a bad part."""
    if not parts:
        raise StatisticsError("there are no statistics to merge")
    merged = reduce(Statistics.merged, (Statistics.read(part) for part in parts))
    merged.write(out / "statistics.msgpack")
