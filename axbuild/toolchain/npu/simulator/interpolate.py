"""Pixels between pixels."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.interpolate import FloatInterpolateAttr, InterpolateAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.requantise import requantise

WHOLE = 1 << 11
FINE = 1 << 24
"""the two weights of an axis together, for codes and for reals"""


def interpolate(sources: list[Array], targets: list[Array], attr: InterpolateAttr) -> None:
    """Rows first, then columns, in whole numbers of 2^-22."""
    for x, y in zip(sources[0], targets[0], strict=True):
        acc = x.astype(np.int64) - attr.x_zero
        acc = _along(acc, 0, attr.rows, attr.row_weights, WHOLE)
        acc = _along(acc, 1, attr.columns, attr.column_weights, WHOLE)
        requantise(acc, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, y)


def float_interpolate(sources: list[Array], targets: list[Array], attr: FloatInterpolateAttr) -> None:
    """The same in float64, in 2^-48."""
    for x, y in zip(sources[0], targets[0], strict=True):
        with np.errstate(all="ignore"):
            acc = _along(x.astype(np.float64), 0, attr.rows, attr.row_weights, FINE)
            acc = _along(acc, 1, attr.columns, attr.column_weights, FINE)
            y[...] = acc * 2.0**-48 + 0.0


def _along(x: Array, axis: int, positions: tuple[int, ...], weights: tuple[int, ...], whole: int) -> Array:
    """Each position and the one after it, weighed; behind the last one lies itself."""
    here = np.array(positions)
    there = np.minimum(here + 1, x.shape[axis] - 1)
    weight = np.array(weights).reshape(-1, *(1,) * (2 - axis))
    found: Array = np.take(x, here, axis) * (whole - weight) + np.take(x, there, axis) * weight
    return found


FLOAT_INTERPOLATE = Kernel(float_interpolate, 1, FloatInterpolateAttr)
INTERPOLATE = Kernel(interpolate, 1, InterpolateAttr)
