"""Constants of an operator as the bytes a chip reads: one canonical packing per operator and chip, never per tiling.

So that batches, shapes and tilings share one blob, a packing is made of slices that any tiling can take whole:
multiply-accumulates are packed in blocks of as many output channels as one conv engine makes in a cycle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import split
from axbuild.toolchain.kinds.base import Box, Kind, memory_axis
from axbuild.toolchain.kinds.border import Normalize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected
from axbuild.toolchain.kinds.pool import AveragePool
from axbuild.toolchain.kinds.table import ChannelTable, Softmax


@dataclass(frozen=True, eq=False)
class Pack:
    """data: C-contiguous, little-endian; axes: for each of its axes the output axis (memory layout) that selects a
    part of it, -1 where every job reads all; step: output elements along axes[0] to one index of axis 0."""

    data: Array
    axes: tuple[int, ...]
    step: int = 1

    @property
    def row_bytes(self) -> int:
        """Bytes of one index of axis 0."""
        return int(self.data.nbytes // self.data.shape[0])

    def part(self, out: Box) -> tuple[tuple[int, int], ...]:
        """The ranges of `data` that a job for the part `out` of the output reads."""
        ranges = []
        for i, (axis, size) in enumerate(zip(self.axes, self.data.shape, strict=True)):
            step = self.step if i == 0 else 1
            start, stop = out.ranges[axis] if axis >= 0 else (0, size * step)
            ranges.append((start // step, -(-stop // step)))
        return tuple(ranges)


def scale_word(multiplier: float) -> int:
    """m + t 2^24 of a multiplier m 2^-t: m has at most 23 bits, t at most 6."""
    m, t = split(multiplier)
    return m | t << 24


def scale_words(multipliers: Array) -> Array:
    """uint32 of the same shape."""
    return np.array([scale_word(float(v)) for v in multipliers.ravel()], "<u4").reshape(multipliers.shape)


def mac_blocks(weight: Array, bias: Array, multiplier: Array, block: int) -> Array:
    """uint8 [blocks, bytes of a block]: int8 [block, kh, kw, ci], int32 [block], uint32 [block], zero-filled.

    weight: int8 [co, ..] with the reduction's axes in the order in which they are summed.
    """
    channels = weight.shape[0]
    blocks = math.ceil(channels / block)
    parts = []
    for array in (weight.reshape(channels, -1), bias.astype("<i4")[:, None], scale_words(multiplier)[:, None]):
        filled = np.zeros((blocks * block, array.shape[1]), array.dtype)
        filled[:channels] = array
        parts.append(filled.reshape(blocks, -1).view(np.uint8))
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def _conv(kind: Conv, block: int) -> Pack:
    return Pack(mac_blocks(kind.weight.transpose(0, 2, 3, 1), kind.bias, kind.multiplier, block), (3, -1), block)


def _fully_connected(kind: FullyConnected, block: int, rank: int) -> Pack:
    return Pack(mac_blocks(kind.weight, kind.bias, kind.multiplier, block), (memory_axis(rank - 1, rank), -1), block)


def _channel_table(kind: ChannelTable, rank: int) -> Pack:
    return Pack(np.ascontiguousarray(kind.table), (memory_axis(kind.axis, rank), -1))


def _normalize(kind: Normalize, rank: int) -> Pack:
    return Pack(np.stack([kind.mean, kind.std]).astype("<f4"), (-1, memory_axis(kind.axis, rank)))


_PACKERS: dict[type[Kind], Callable[[Any, int, int], Pack]] = {
    Conv: lambda kind, block, rank: _conv(kind, block),
    FullyConnected: _fully_connected,
    AveragePool: lambda kind, block, rank: Pack(scale_words(kind.multiplier), (1, 2)),
    ChannelTable: lambda kind, block, rank: _channel_table(kind, rank),
    Softmax: lambda kind, block, rank: Pack(kind.table.astype("<i4"), (-1,)),
    Normalize: lambda kind, block, rank: _normalize(kind, rank),
}


def pack_of(kind: Kind, block: int, rank: int) -> Pack | None:
    """The packed constants of a kind whose output has that rank; None where attributes say everything."""
    packer = _PACKERS.get(type(kind))
    return packer(kind, block, rank) if packer else None
