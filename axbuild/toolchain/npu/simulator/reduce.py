"""Whole axes that become one element."""

from __future__ import annotations

import math

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.reduce import ExtremeAttr, SumAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.requantise import requantise


def total(sources: list[Array], targets: list[Array], attr: SumAttr) -> None:
    """Sum of codes less as many zeros, times m 2^-t."""
    x = sources[0]
    acc = x.sum(axis=attr.axes, keepdims=True, dtype=np.int64)
    acc -= attr.x_zero * math.prod(x.shape[axis] for axis in attr.axes)
    requantise(acc, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, targets[0])


def root(sources: list[Array], targets: list[Array], attr: SumAttr) -> None:
    """Root of the sum of the squares of centred codes, times m 2^-t."""
    d = sources[0].astype(np.int64) - attr.x_zero
    length = np.sqrt((d * d).sum(axis=attr.axes, keepdims=True).astype(np.float64))
    requantise(length, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, targets[0])


def _extreme(function: np.ufunc) -> Kernel:
    """Largest or smallest code, then clamp."""

    def run(sources: list[Array], targets: list[Array], attr: ExtremeAttr) -> None:
        np.clip(function.reduce(sources[0], axis=attr.axes, keepdims=True), attr.lo, attr.hi, out=targets[0])

    return Kernel(run, 1, ExtremeAttr)


REDUCE_SUM = Kernel(total, 1, SumAttr)
REDUCE_L2 = Kernel(root, 1, SumAttr)
REDUCE_MAX, REDUCE_MIN = _extreme(np.maximum), _extreme(np.minimum)
