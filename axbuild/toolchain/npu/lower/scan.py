"""Running sums as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.scan import FloatRunningSum, IntegerRunningSum, RunningSum
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, channel_axis, single


@dataclass(frozen=True)
class PlainRunningSumAttr(KernelAttr):
    """axis: in memory; exclusive, reverse: as ONNX's CumSum has them."""

    axis: int
    exclusive: int
    reverse: int


@dataclass(frozen=True)
class RunningSumAttr(KernelAttr):
    """As above; zeros of both grids, the multiplier m 2^-t, the clamp."""

    axis: int
    exclusive: int
    reverse: int
    x_zero: int
    y_zero: int
    m: int
    t: int
    lo: int
    hi: int


def _attr(kind: RunningSum, geometry: Geometry) -> RunningSumAttr:
    along = channel_axis(kind.axis, geometry), kind.exclusive, kind.reverse
    return RunningSumAttr(*along, kind.x.zero, kind.y.zero, *mantissa(kind.multiplier), kind.lo, kind.hi)


def _plain(kind: FloatRunningSum | IntegerRunningSum, geometry: Geometry) -> PlainRunningSumAttr:
    return PlainRunningSumAttr(channel_axis(kind.axis, geometry), kind.exclusive, kind.reverse)


FLOAT_RUNNING_SUM = Lowering(single("float_running_sum", _plain))
RUNNING_SUM = Lowering(single("running_sum", _attr))
INTEGER_RUNNING_SUM = Lowering(single("integer_running_sum", _plain))
