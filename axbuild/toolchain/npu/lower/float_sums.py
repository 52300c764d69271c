"""Sums of reals, as jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.float_norm import FloatNorm
from axbuild.toolchain.kinds.float_pool import FloatAveragePool, FloatPooling
from axbuild.toolchain.kinds.float_reduce import FloatReduce
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import (
    Geometry,
    Lowering,
    Pack,
    Part,
    Work,
    channel_axis,
    little_endian,
    onnx_order,
    sources,
)
from axbuild.toolchain.npu.lower.norm import pack_norm
from axbuild.toolchain.npu.lower.window import WindowAttr, window_attr


@dataclass(frozen=True)
class FloatReduceAttr(KernelAttr):
    """axes: in memory, in the order in which they are folded."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class FloatNormAttr(KernelAttr):
    """Of the last `axes` axes in ONNX order. subtract_mean: 0 or 1; m 2^-t: what is added to the variance."""

    axes: int
    subtract_mean: int
    m: int
    t: int


def _reduce(kind: FloatReduce, geometry: Geometry, out: Box) -> list[Work]:
    attr = FloatReduceAttr(tuple(channel_axis(axis, geometry) for axis in kind.axes))
    return [Work(f"float_reduce_{kind.op}", kind.job, sources(kind, geometry, out), Part(out), False, attr)]


def _norm(kind: FloatNorm, geometry: Geometry, out: Box) -> list[Work]:
    attr = FloatNormAttr(kind.axes, int(kind.subtract_mean), *mantissa(kind.epsilon))
    target = Part(out, onnx_order(geometry.output))
    return [Work("float_norm", kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def _pool(kernel: str, params: bool) -> Callable[[FloatPooling, Geometry, Box], list[Work]]:
    def works(kind: FloatPooling, geometry: Geometry, out: Box) -> list[Work]:
        attr = WindowAttr(**window_attr(kind.window, kind, geometry, out))
        return [Work(kernel, kind.job, sources(kind, geometry, out), Part(out), params, attr)]

    return works


def _counts(kind: FloatAveragePool, block: int, rank: int) -> Pack:
    return Pack(little_endian(kind.count), (1, 2))


FLOAT_AVERAGE_POOL = Lowering(_pool("float_average_pool", params=True), _counts)
FLOAT_MAX_POOL = Lowering(_pool("float_max_pool", params=False))
FLOAT_REDUCE = Lowering(_reduce)
FLOAT_NORM = Lowering(_norm, pack_norm)
