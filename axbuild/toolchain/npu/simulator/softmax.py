"""Shares of a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import LN2_HI, LN2_LO
from axbuild.toolchain.kinds.softmax import LOG_TERMS, ONE_BITS
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.softmax import LogSoftmaxAttr, SoftmaxAttr, SoftmaxScaledAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import BLOCK


def softmax(sources: list[Array], targets: list[Array], attr: SoftmaxAttr) -> None:
    """y = zero + (2 steps E + S) // (2 S), in int64."""

    def share(powers: Array, total: Array) -> Array:
        powers *= 2 * attr.steps
        powers += total
        powers //= 2 * total
        powers += attr.zero
        return powers

    _along(attr.axis, attr.hides, sources, targets[0], np.int64, lambda distance, powers, total: share(powers, total))


def softmax_scaled(sources: list[Array], targets: list[Array], attr: SoftmaxScaledAttr) -> None:
    """y = zero + floor(E (1 / scale) / S + 0.5) in float64, saturating."""
    limits, inverse = np.iinfo(targets[0].dtype), 1 / float(bits_float32(attr.scale_bits))

    def share(powers: Array, total: Array) -> Array:
        powers *= inverse
        powers /= total
        powers += 0.5
        np.floor(powers, out=powers)
        powers += attr.zero
        return np.clip(powers, limits.min, limits.max, out=powers)

    _along(attr.axis, attr.hides, sources, targets[0], np.float64, lambda distance, powers, total: share(powers, total))


def log_softmax(sources: list[Array], targets: list[Array], attr: LogSoftmaxAttr) -> None:
    """y = zero + floor(-((max - x) sx + ln(S 2^-24)) / sy + 0.5) in float64, saturating."""
    limits = np.iinfo(targets[0].dtype)
    x_scale, y_scale = float(bits_float32(attr.x_bits)), float(bits_float32(attr.y_bits))

    def level(distance: Array, powers: Array, total: Array) -> Array:
        depth = distance * x_scale
        depth += _logarithm(total)
        depth /= -y_scale
        depth += 0.5
        np.floor(depth, out=depth)
        depth += attr.zero
        return np.clip(depth, limits.min, limits.max, out=depth)

    _along(attr.axis, -1, sources, targets[0], np.float64, level)


def _logarithm(total: Array) -> Array:
    """ln(total 2^-24) by the series of twice the inverse hyperbolic tangent."""
    half, exponent = np.frexp(total)
    k = (exponent - 1 - ONE_BITS).astype(np.float64)
    z = (half + half - 1.0) / (half + half + 1.0)
    square = z * z
    series = np.zeros_like(z)
    for n in range(LOG_TERMS - 1, -1, -1):
        series = series * square + 1.0 / (2 * n + 1)
    found: Array = (k * LN2_HI + (z + z) * series) + k * LN2_LO
    return found


def _along(
    axis: int,
    hides: int,
    sources: list[Array],
    target: Array,
    dtype: Any,
    share: Callable[[Array, Array, Array], Array],
) -> None:
    """target = share(d, E, S) of d = max - x, E = table[d] and S, its sum along the axis, all exact; few lines at a
    time.

    sources: x, a mask whose elements `hides` hide those of x where there is one, and int32, a power for each distance,
    the last one for all that are greater too.
    """
    x, table = np.moveaxis(sources[0], axis, -1), sources[-1].astype(dtype)
    lines = x.reshape(-1, x.shape[-1])
    hidden = _hidden(axis, hides, sources)
    found = np.empty(lines.shape, target.dtype)
    step = max(1, BLOCK // lines.shape[1])
    for start in range(0, len(lines), step):
        part = lines[start : start + step].astype(np.int32)
        if hidden is None:
            distance = part.max(axis=1, keepdims=True) - part
            powers = table[np.minimum(distance, len(table) - 1)]
            total = powers.sum(axis=1, keepdims=True)
        else:
            dark = hidden[start : start + step]
            part[dark] = np.iinfo(x.dtype).min
            distance = part.max(axis=1, keepdims=True) - part
            powers = table[np.minimum(distance, len(table) - 1)]
            powers[dark] = 0
            total = np.maximum(powers.sum(axis=1, keepdims=True), 1)
        found[start : start + step] = share(distance, powers, total)
    np.moveaxis(target, axis, -1)[...] = found.reshape(x.shape)


def _hidden(axis: int, hides: int, sources: list[Array]) -> Array | None:
    """Which elements of the lines are hidden; None where there is no mask."""
    if len(sources) == 2:
        return None
    mask = np.moveaxis(np.broadcast_to(sources[1], sources[0].shape), axis, -1)
    hidden: Array = mask.reshape(-1, mask.shape[-1]) == hides
    return hidden


SOFTMAX = Kernel(softmax, 2, SoftmaxAttr)
LOG_SOFTMAX = Kernel(log_softmax, 2, LogSoftmaxAttr)
SOFTMAX_MASKED = Kernel(softmax, 3, SoftmaxAttr)
SOFTMAX_SCALED = Kernel(softmax_scaled, 2, SoftmaxScaledAttr)
SOFTMAX_SCALED_MASKED = Kernel(softmax_scaled, 3, SoftmaxScaledAttr)
