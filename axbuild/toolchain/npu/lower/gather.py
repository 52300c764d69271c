"""Gathering rows as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box, memory_axis
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, little_endian, onnx_order, sources


@dataclass(frozen=True)
class GatherAttr(KernelAttr):
    """rows: of the table; an index lies in -rows..rows - 1."""

    rows: int


def _gather(kind: Gather, geometry: Geometry, out: Box) -> list[Work]:
    target = Part(out, onnx_order(geometry.output))
    attr = GatherAttr(kind.data.shape[0])
    return [Work("gather_rows", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def _pack(kind: Gather, block: int, rank: int) -> Pack:
    """The table as it is: a job may ask for any row, and for a range of what a row holds."""
    inner = tuple(memory_axis(axis, rank) for axis in range(rank - kind.data.ndim + 1, rank))
    return Pack(little_endian(kind.data), (-1, *inner), by_index=True)


GATHER = Lowering(_gather, _pack)
