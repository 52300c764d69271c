"""Gathering rows as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    return [Work("gather", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def _pack(kind: Gather, block: int, rank: int) -> Pack:
    """The table with the last axis of its rows first: a table larger than the on-chip memory comes in ranges of it.

    A job may ask for any row, so the rows themselves cannot come one after another.
    """
    if kind.data.ndim == 1:
        return Pack(little_endian(kind.data[None]), (-1, -1))
    inner = tuple(memory_axis(axis, rank) for axis in range(rank - kind.data.ndim + 1, rank))
    return Pack(little_endian(np.moveaxis(kind.data, -1, 0)), (inner[-1], -1, *inner[:-1]))


GATHER = Lowering(_gather, _pack)
