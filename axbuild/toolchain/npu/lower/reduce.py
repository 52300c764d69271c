"""Reductions as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, channel_axis, sources


@dataclass(frozen=True)
class SumAttr(KernelAttr):
    """axes: in memory; m 2^-t: the multiplier; x_zero, y_zero: codes of 0.0; lo, hi: the clamp."""

    axes: tuple[int, ...]
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True)
class ExtremeAttr(KernelAttr):
    """axes: in memory; lo, hi: the clamp."""

    axes: tuple[int, ...]
    lo: int
    hi: int


def _reduce(kind: Reduce, geometry: Geometry, out: Box) -> list[Work]:
    axes = tuple(channel_axis(axis, geometry) for axis in kind.axes)
    kernel = "reduce_sum" if kind.op == "mean" else f"reduce_{kind.op}"
    attr: KernelAttr = ExtremeAttr(axes, kind.lo, kind.hi)
    if not kind.chooses:
        attr = SumAttr(axes, *mantissa(kind.multiplier), kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    return [Work(kernel, kind.job, sources(kind, geometry, out), Part(out), False, attr)]


REDUCE = Lowering(_reduce)
