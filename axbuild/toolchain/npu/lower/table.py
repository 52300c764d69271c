"""Look-ups as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import memory_axis
from axbuild.toolchain.kinds.table import ChannelTable, Table
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, channel_axis, little_endian, single


@dataclass(frozen=True)
class TableAttr(KernelAttr):
    """lowest: the code that entry 0 is for."""

    lowest: int


@dataclass(frozen=True)
class ChannelTableAttr(KernelAttr):
    """lowest: the code that entry 0 is for; axis: the channels' in memory."""

    lowest: int
    axis: int


def _attr(kind: Table, geometry: Geometry) -> TableAttr:
    return TableAttr(kind.x.type.lo)


def _pack(kind: Table, block: int, rank: int) -> Pack:
    return Pack(little_endian(kind.table), (-1,))


def _channel_attr(kind: ChannelTable, geometry: Geometry) -> ChannelTableAttr:
    return ChannelTableAttr(kind.x.type.lo, channel_axis(kind.axis, geometry))


def _channel_pack(kind: ChannelTable, block: int, rank: int) -> Pack:
    return Pack(little_endian(kind.table), (memory_axis(kind.axis, rank), -1))


TABLE = Lowering(single("table", _attr, params=True), _pack)
CHANNEL_TABLE = Lowering(single("channel_table", _channel_attr, params=True), _channel_pack)
