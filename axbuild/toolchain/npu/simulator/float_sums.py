"""Sums of reals in float64: an axis is halved until one element is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.float_sums import FloatNormAttr, FloatReduceAttr
from axbuild.toolchain.npu.lower.window import WindowAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.window import padded, windows


def folded(x: Array, axes: tuple[int, ...]) -> Array:
    """float64, the dimensions kept: the elements from 2^k on are added to the first ones, for k down to 0."""
    for axis in axes:
        line = np.moveaxis(x, axis, 0)
        while len(line) > 1:
            half = 1 << (len(line) - 1).bit_length() - 1
            rest = len(line) - half
            line = np.concatenate([line[:rest] + line[half:], line[rest:half]])
        x = np.moveaxis(line, 0, axis)
    return x


def _sum(finish: Callable[[Array, int], Array], squared: bool = False) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: FloatReduceAttr) -> None:
        x = sources[0].astype(np.float64)
        with np.errstate(all="ignore"):
            total = folded(x * x if squared else x, attr.axes)
            targets[0][...] = finish(total, math.prod(x.shape[axis] for axis in attr.axes)) + 0.0

    return Kernel(run, 1, FloatReduceAttr)


def _extreme(function: np.ufunc, last: float) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: FloatReduceAttr) -> None:
        known = np.where(np.isnan(sources[0]), np.float32(last), sources[0])
        targets[0][...] = function.reduce(known, axis=attr.axes, keepdims=True) + np.float32(0)

    return Kernel(run, 1, FloatReduceAttr)


def norm(sources: list[Array], targets: list[Array], attr: FloatNormAttr) -> None:
    """d / sqrt(mean of d^2 + m 2^-t) weight + bias; sources[1]: float64 [2, ...] = weight, bias."""
    x, (weight, bias) = sources[0].astype(np.float64), sources[1]
    axes = tuple(range(x.ndim - attr.axes, x.ndim))
    count = float(math.prod(x.shape[axis] for axis in axes))
    with np.errstate(all="ignore"):
        d = x - folded(x, axes) / count if attr.subtract_mean else x
        unit = d / np.sqrt(folded(d * d, axes) / count + scaled(attr.m, attr.t))
        targets[0][...] = (unit * weight + bias) + 0.0


def _pool(operation: np.ufunc, around: float, params: int) -> Kernel:
    """The rows of each window, then its columns; sources[1], if there is one: float64 [ho, wo] that divide."""

    def run(sources: list[Array], targets: list[Array], attr: WindowAttr) -> None:
        x, *count = sources
        x = x.astype(np.float64)
        x = padded(np.where(np.isnan(x), around, x) if operation is np.maximum else x, attr, around)
        columns = attr.kernel[1]
        for image, y in zip(x, targets[0], strict=True):
            taps = list(windows(image, 0, y.shape[0], y.shape[1], attr))
            with np.errstate(all="ignore"):
                sides = [_joined(taps[column::columns], operation) for column in range(columns)]
                whole = _joined(sides, operation)
                y[...] = (whole / count[0][..., None] if count else whole) + 0.0

    return Kernel(run, 1 + params, WindowAttr)


def _joined(values: list[Array], operation: np.ufunc) -> Array:
    """As `folded`, of several tensors."""
    while len(values) > 1:
        half = 1 << (len(values) - 1).bit_length() - 1
        rest = len(values) - half
        values = [*map(operation, values[:rest], values[half:]), *values[rest:half]]
    return values[0]


FLOAT_AVERAGE_POOL = _pool(np.add, 0.0, params=1)
FLOAT_MAX_POOL = _pool(np.maximum, -math.inf, params=0)
FLOAT_REDUCE_SUM = _sum(lambda total, count: total)
FLOAT_REDUCE_MEAN = _sum(lambda total, count: total / float(count))
FLOAT_REDUCE_L2 = _sum(lambda total, count: np.sqrt(total), squared=True)
FLOAT_REDUCE_MAX, FLOAT_REDUCE_MIN = _extreme(np.maximum, -math.inf), _extreme(np.minimum, math.inf)
FLOAT_NORM = Kernel(norm, 2, FloatNormAttr)
