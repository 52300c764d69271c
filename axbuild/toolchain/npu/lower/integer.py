"""Exact arithmetic on integers as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.integer import IntegerBinary, IntegerReduce
from axbuild.toolchain.npu.lower.attr import KernelAttr, NoAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, channel_axis, sources
from axbuild.toolchain.npu.lower.broadcast import broadcasting


@dataclass(frozen=True)
class AxesAttr(KernelAttr):
    """axes: in memory."""

    axes: tuple[int, ...]


def _kernel(kind: IntegerBinary) -> str:
    return f"integer_{kind.op}"


INTEGER = Lowering(broadcasting(_kernel, lambda kind: NoAttr()))


def _reduce(kind: IntegerReduce, geometry: Geometry, out: Box) -> list[Work]:
    attr = AxesAttr(tuple(sorted(channel_axis(axis, geometry) for axis in kind.axes)))
    return [Work(f"integer_reduce_{kind.op}", kind.job, sources(kind, geometry, out), Part(out), False, attr)]


INTEGER_REDUCE = Lowering(_reduce)
