"""Look-ups as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, little_endian, single


@dataclass(frozen=True)
class TableAttr(KernelAttr):
    """lowest: the code that entry 0 is for."""

    lowest: int


def _attr(kind: Table, geometry: Geometry) -> TableAttr:
    return TableAttr(kind.x.type.lo)


def _pack(kind: Table, block: int, rank: int) -> Pack:
    return Pack(little_endian(kind.table), (-1,))


TABLE = Lowering(single("table", _attr, params=True), _pack)
