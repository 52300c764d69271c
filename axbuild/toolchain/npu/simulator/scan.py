"""Running sums."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.scan import IntegerRunningSumAttr, RunningSumAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.integer import require_held
from axbuild.toolchain.npu.simulator.requantise import requantise


def _sums(x: Array, attr: IntegerRunningSumAttr | RunningSumAttr) -> Array:
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


def integer_running_sum(sources: list[Array], targets: list[Array], attr: IntegerRunningSumAttr) -> None:
    """The sums themselves."""
    targets[0][...] = require_held(_sums(sources[0].astype(np.int64), attr), targets[0])


RUNNING_SUM = Kernel(running_sum, 1, RunningSumAttr)
INTEGER_RUNNING_SUM = Kernel(integer_running_sum, 1, IntegerRunningSumAttr)
