"""The largest or smallest elements along an axis, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.rank import Rank
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, channel_axis, single


@dataclass(frozen=True)
class RankAttr(KernelAttr):
    """axis: in memory; count: elements that are given; largest: 1 from the largest, 0 from the smallest on; gives:
    "values" or "places"."""

    axis: int
    count: int
    largest: int
    gives: str


def _attr(kind: Rank, geometry: Geometry) -> RankAttr:
    return RankAttr(channel_axis(kind.axis, geometry), kind.count, kind.largest, kind.gives)


RANK = Lowering(single("rank", _attr))
