"""Rotation of pairs along the last axis, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.base import Box, memory_axis
from axbuild.toolchain.kinds.rotary import FloatRotary, Rotary, Turning
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, little_endian, onnx_order, sources


@dataclass(frozen=True)
class RotaryAttr(KernelAttr):
    """In ONNX order. partner: along the last axis; m 2^-t: the multiplier; codes of 0.0; the clamp."""

    partner: tuple[int, ...]
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True)
class FloatRotaryAttr(KernelAttr):
    """partner: along the last axis."""

    partner: tuple[int, ...]


def _floats(kind: FloatRotary, geometry: Geometry, out: Box) -> list[Work]:
    target = Part(out, onnx_order(geometry.output))
    read = sources(kind, geometry, out, ordered=True)
    return [Work("float_rotary", kind.job, read, target, True, FloatRotaryAttr(kind.partner))]


def _rotary(kind: Rotary, geometry: Geometry, out: Box) -> list[Work]:
    attr = RotaryAttr(kind.partner, *mantissa(kind.multiplier), kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work("rotary", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def _pack(kind: Turning, block: int, rank: int) -> Pack:
    """[..., 2] in ONNX order, from the first axis along which they differ: c and s of each place."""
    own = kind.factors.shape[1:]
    first = next((axis for axis, size in enumerate(own) if size > 1), len(own) - 1)
    places = range(rank - len(own) + first, rank)
    axes = (memory_axis(axis, rank) if size > 1 else -1 for axis, size in zip(places, own[first:], strict=True))
    data = np.moveaxis(kind.factors.reshape(2, *own[first:]), 0, -1)
    return Pack(little_endian(data), (*axes, -1))


FLOAT_ROTARY = Lowering(_floats, _pack)
ROTARY = Lowering(_rotary, _pack)
