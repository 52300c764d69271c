"""Movers as jobs: most are one `move`, whose operands say everything."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box, memory_shape, onnx_ranges
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Take, Transpose
from axbuild.toolchain.kinds.rearrange import Rearrange
from axbuild.toolchain.npu.lower.attr import KernelAttr, NoAttr
from axbuild.toolchain.npu.lower.base import (
    Geometry,
    Lowering,
    Part,
    Work,
    channel_axis,
    onnx_order,
    single,
    sources,
)


@dataclass(frozen=True)
class PadAttr(KernelAttr):
    """pads: begins of every memory axis, then ends; value: what stands there."""

    pads: tuple[int, ...]
    value: int


@dataclass(frozen=True)
class SliceAttr(KernelAttr):
    """steps: of every memory axis; a negative one counts from the last position read."""

    steps: tuple[int, ...]


@dataclass(frozen=True)
class TakeAttr(KernelAttr):
    """positions: along a memory axis, counted in the part that is read."""

    axis: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class RearrangeAttr(KernelAttr):
    """apart: the extents of the factors in the part that is read, in ONNX order; order: theirs in the target; joined:
    the shape they give, of which the target begins at `starts`."""

    apart: tuple[int, ...]
    order: tuple[int, ...]
    joined: tuple[int, ...]
    starts: tuple[int, ...]


def _move(job: str, source: tuple[int, Part], target: Part) -> Work:
    return Work("move", job, (source,), target, False, NoAttr())


def _reshape(kind: Reshape, geometry: Geometry, out: Box) -> list[Work]:
    (source,) = sources(kind, geometry, out, ordered=True)
    return [_move(kind.job, source, Part(out, onnx_order(geometry.output)))]


def _transpose(kind: Transpose, geometry: Geometry, out: Box) -> list[Work]:
    ((number, part),) = sources(kind, geometry, out)
    return [_move(kind.job, (number, Part(part.box, kind.permutes(*geometry.inputs))), Part(out))]


def _concat(kind: Concat, geometry: Geometry, out: Box) -> list[Work]:
    """One job for each input that the part meets."""
    axis = channel_axis(kind.axis, geometry)
    works, offset = [], 0
    for source, shape in zip(sources(kind, geometry, out), geometry.inputs, strict=True):
        start, stop = source[1].box.ranges[axis]
        if stop > start:
            ranges = (*out.ranges[:axis], (start + offset, stop + offset), *out.ranges[axis + 1 :])
            works.append(_move(kind.job, source, Part(Box(ranges))))
        offset += memory_shape(shape)[axis]
    return works


def _pad_attr(kind: Pad, geometry: Geometry) -> PadAttr:
    begins, ends = kind.pads[: geometry.rank], kind.pads[geometry.rank :]
    return PadAttr((*memory_shape(begins), *memory_shape(ends)), kind.value)


def _slice(kind: Slice, geometry: Geometry, out: Box) -> list[Work]:
    (source,) = sources(kind, geometry, out)
    steps = memory_shape(tuple(kind.step(axis) for axis in range(geometry.rank)))
    if set(steps) == {1}:
        return [_move(kind.job, source, Part(out))]
    return [Work("slice", kind.job, (source,), Part(out), False, SliceAttr(steps))]


def _take(kind: Take, geometry: Geometry, out: Box) -> list[Work]:
    axis = channel_axis(kind.axis, geometry)
    read = kind.positions[slice(*out.ranges[axis])]
    first = min(read)
    attr = TakeAttr(axis, tuple(position - first for position in read))
    return [Work("take", kind.job, sources(kind, geometry, out), Part(out), False, attr)]


def _rearrange(kind: Rearrange, geometry: Geometry, out: Box) -> list[Work]:
    part = kind.part(onnx_ranges(out), geometry.inputs[0])
    attr = RearrangeAttr(part.apart, kind.order, part.joined, part.starts)
    target = Part(out, onnx_order(geometry.output))
    return [Work("rearrange", kind.job, sources(kind, geometry, out, ordered=True), target, False, attr)]


REARRANGE = Lowering(_rearrange)
RESHAPE = Lowering(_reshape)
TRANSPOSE = Lowering(_transpose)
PAD = Lowering(single("pad", _pad_attr))
CONCAT = Lowering(_concat)
SLICE = Lowering(_slice)
TAKE = Lowering(_take)
