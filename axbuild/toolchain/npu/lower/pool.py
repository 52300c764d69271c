"""Poolings as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, sources
from axbuild.toolchain.npu.lower.multiplier import packed_multipliers
from axbuild.toolchain.npu.lower.window import WindowAttr, window_attr


@dataclass(frozen=True)
class MaxPoolAttr(WindowAttr):
    """lo, hi: the clamp."""

    lo: int
    hi: int


@dataclass(frozen=True)
class AveragePoolAttr(WindowAttr):
    """x_zero, y_zero: codes of 0.0; lo, hi: the clamp."""

    x_zero: int
    y_zero: int
    lo: int
    hi: int


def _max_pool(kind: MaxPool, geometry: Geometry, out: Box) -> list[Work]:
    attr = MaxPoolAttr(**window_attr(kind.window, kind, geometry, out), lo=kind.lo, hi=kind.hi)
    return [Work("max_pool", kind.job, sources(kind, geometry, out), Part(out), False, attr)]


def _average_pool(kind: AveragePool, geometry: Geometry, out: Box) -> list[Work]:
    window = window_attr(kind.window, kind, geometry, out)
    attr = AveragePoolAttr(**window, x_zero=kind.x.zero, y_zero=kind.y.zero, lo=kind.lo, hi=kind.hi)
    return [Work("average_pool", kind.job, sources(kind, geometry, out), Part(out), True, attr)]


def _pack(kind: AveragePool, block: int, rank: int) -> Pack:
    """One multiplier a row and column."""
    return Pack(packed_multipliers(kind.multiplier, kind.x, kind.y), (1, 2))


MAX_POOL = Lowering(_max_pool)
AVERAGE_POOL = Lowering(_average_pool, _pack)
