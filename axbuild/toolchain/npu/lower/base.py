"""What lowering a kind means: a part of its output -> the jobs that compute it; its constants as a chip reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import Box, Kind, memory_axis
from axbuild.toolchain.npu.lower.attr import KernelAttr


@dataclass(frozen=True)
class Part:
    """A box of a tensor in memory layout, and the order in which a kernel wants its axes (memory axes; (): as is)."""

    box: Box
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Work:
    """What one job does: sources are (number of the activation, part); params: whether it reads packed constants."""

    kernel: str
    kind: str
    sources: tuple[tuple[int, Part], ...]
    target: Part
    params: bool
    attr: KernelAttr


@dataclass(frozen=True)
class Geometry:
    """Where a kind stands. inputs, output: ONNX shapes; block: how many output channels are packed together."""

    inputs: tuple[Shape, ...]
    output: Shape
    block: int

    @property
    def rank(self) -> int:
        return len(self.output)


@dataclass(frozen=True, eq=False)
class Pack:
    """Constants of an operator as bytes: one canonical packing per operator and chip, never per tiling, so that
    batches, shapes and tilings share it.

    data: C-contiguous, little-endian; axes: for each of its axes the output axis (memory layout) that selects a
    part of it, -1 where every job reads all; step: output elements along axes[0] to one index of axis 0; by_index:
    whether a job reads a few rows only, known when it runs, so that it may read them where they lie off chip.
    """

    data: Array
    axes: tuple[int, ...]
    step: int = 1
    by_index: bool = False

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


def no_pack(kind: Any, block: int, rank: int) -> Pack | None:
    """The attributes say everything."""
    return None


@dataclass(frozen=True)
class Lowering:
    """works(kind, geometry, part of the output); pack(kind, block, rank of the output): its constants, if any."""

    works: Callable[[Any, Geometry, Box], list[Work]]
    pack: Callable[[Any, int, int], Pack | None] = no_pack


def sources(kind: Kind, geometry: Geometry, out: Box, ordered: bool = False) -> tuple[tuple[int, Part], ...]:
    """The part of each activation that `out` needs; ordered: with its axes in ONNX order."""
    boxes = kind.input_boxes(out, *geometry.inputs)
    return tuple(
        (i, Part(box, onnx_order(shape) if ordered else ()))
        for i, (box, shape) in enumerate(zip(boxes, geometry.inputs, strict=True))
    )


def onnx_order(shape: Shape) -> tuple[int, ...]:
    """Memory axes in ONNX order; () where the two agree."""
    return (0, 3, 1, 2) if len(shape) == 4 else ()


def single(kernel: str, attr: Callable[[Any, Geometry], KernelAttr], params: bool = False) -> Callable[..., list[Work]]:
    """The works of a kind whose one job takes its attributes from kind and geometry alone."""

    def works(kind: Kind, geometry: Geometry, out: Box) -> list[Work]:
        return [Work(kernel, kind.job, sources(kind, geometry, out), Part(out), params, attr(kind, geometry))]

    return works


def channel_axis(axis: int, geometry: Geometry) -> int:
    """Where the ONNX axis of the output lies in memory."""
    return memory_axis(axis, geometry.rank)


def little_endian(array: Array) -> Array:
    """The same values, C-contiguous, in the byte order of a pack."""
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
