"""Windows over height and width."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.pool import AveragePoolAttr, MaxPoolAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.requantise import multipliers, requantise
from axbuild.toolchain.npu.simulator.window import padded, windows


def max_pool(sources: list[Array], targets: list[Array], attr: MaxPoolAttr) -> None:
    """Largest code of each window, then clamp; padding is the lowest code, which no code is below."""
    y = targets[0]
    lowest = int(np.iinfo(y.dtype).min)
    x = padded(sources[0], attr, lowest)
    for n in range(y.shape[0]):
        best = np.full(y.shape[1:], lowest, y.dtype)
        for window in windows(x[n], 0, y.shape[1], y.shape[2], attr):
            np.maximum(best, window, out=best)
        np.clip(best, attr.lo, attr.hi, out=y[n])


def average_pool(sources: list[Array], targets: list[Array], attr: AveragePoolAttr) -> None:
    """Sum of codes less as many zeros, times the multiplier of its position; sources[1]: packed [ho, wo]."""
    y = targets[0]
    multiplier = multipliers(sources[1])[..., None]
    x = padded(sources[0], attr, attr.x_zero)
    zeros = attr.x_zero * attr.kernel[0] * attr.kernel[1]
    for n in range(y.shape[0]):
        acc = np.full(y.shape[1:], -zeros, np.int64)
        for window in windows(x[n], 0, y.shape[1], y.shape[2], attr):
            acc += window
        requantise(acc, multiplier, attr.y_zero, attr.lo, attr.hi, y[n])


MAX_POOL = Kernel(max_pool, 1, MaxPoolAttr)
AVERAGE_POOL = Kernel(average_pool, 2, AveragePoolAttr)
