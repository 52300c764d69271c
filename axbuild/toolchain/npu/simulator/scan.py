"""Running sums."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.scan import PlainRunningSumAttr, RunningSumAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.integer import require_held
from axbuild.toolchain.npu.simulator.requantise import requantise


def _sums(x: Array, attr: PlainRunningSumAttr | RunningSumAttr) -> Array:
    """int64, of int64."""
    lines = np.flip(x, attr.axis) if attr.reverse else x
    sums = np.cumsum(lines, axis=attr.axis)
    if attr.exclusive:
        sums -= lines
    return np.flip(sums, attr.axis) if attr.reverse else sums


def running_sum(sources: list[Array], targets: list[Array], attr: RunningSumAttr) -> None:
    """R of the sums of centred codes."""
    acc = _sums(sources[0].astype(np.int64) - attr.x_zero, attr)
    requantise(acc, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, targets[0])


def integer_running_sum(sources: list[Array], targets: list[Array], attr: PlainRunningSumAttr) -> None:
    """The sums themselves."""
    targets[0][...] = require_held(_sums(sources[0].astype(np.int64), attr), targets[0])


def float_running_sum(sources: list[Array], targets: list[Array], attr: PlainRunningSumAttr) -> None:
    """One element after the other in float64."""
    x = np.moveaxis(sources[0].astype(np.float64), attr.axis, 0)
    lines = x[::-1] if attr.reverse else x
    sums = np.zeros_like(lines)
    with np.errstate(all="ignore"):
        total = np.zeros(lines.shape[1:])
        for line, sum_here in zip(lines, sums, strict=True):
            sum_here[...] = total if attr.exclusive else total + line
            total = total + line
        np.moveaxis(targets[0], attr.axis, 0)[...] = (sums[::-1] if attr.reverse else sums) + 0.0


FLOAT_RUNNING_SUM = Kernel(float_running_sum, 1, PlainRunningSumAttr)
RUNNING_SUM = Kernel(running_sum, 1, RunningSumAttr)
INTEGER_RUNNING_SUM = Kernel(integer_running_sum, 1, PlainRunningSumAttr)
