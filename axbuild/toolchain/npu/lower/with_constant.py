"""Arithmetic on one activation and a constant, as jobs of the kernels for two activations."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box, memory_axis
from axbuild.toolchain.kinds.with_constant import BesideConstant, WithConstant
from axbuild.toolchain.npu.lower.attr import mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, little_endian, onnx_order, sources
from axbuild.toolchain.npu.lower.binary import BinaryAttr


def _works(kind: WithConstant, geometry: Geometry, out: Box) -> list[Work]:
    m, t = mantissa(kind.multiplier)
    attr = BinaryAttr(kind.x.zero, 0, kind.y.zero, kind.factor, 1, m, t, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work(kind.op, kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def pack_constant(kind: BesideConstant, block: int, rank: int) -> Pack:
    """In ONNX order, from the first axis along which it differs."""
    data = kind.constant.reshape((1,) * (rank - kind.constant.ndim) + kind.constant.shape)
    first = next((axis for axis, size in enumerate(data.shape) if size > 1), rank - 1)
    axes = (memory_axis(axis, rank) if data.shape[axis] > 1 else -1 for axis in range(first, rank))
    return Pack(little_endian(data.reshape(data.shape[first:])), tuple(axes))


WITH_CONSTANT = Lowering(_works, pack_constant)
