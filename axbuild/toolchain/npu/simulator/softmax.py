"""Shares of a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.softmax import SoftmaxAttr, SoftmaxScaledAttr
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

    _along(attr.axis, attr.hides, sources, targets[0], np.int64, share)


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

    _along(attr.axis, attr.hides, sources, targets[0], np.float64, share)


def _along(
    axis: int, hides: int, sources: list[Array], target: Array, dtype: Any, share: Callable[[Array, Array], Array]
) -> None:
    """target = share(E, S) of E = table[max - x] and S, its sum along the axis, both exact; few lines at a time.

    sources: x, a mask whose elements `hides` hide those of x where there is one, and int32, a power for each distance.
    """
    x, table = np.moveaxis(sources[0], axis, -1), sources[-1].astype(dtype)
    lines = x.reshape(-1, x.shape[-1])
    hidden = _hidden(axis, hides, sources)
    found = np.empty(lines.shape, target.dtype)
    step = max(1, BLOCK // lines.shape[1])
    for start in range(0, len(lines), step):
        part = lines[start : start + step].astype(np.int32)
        if hidden is None:
            powers = table[part.max(axis=1, keepdims=True) - part]
            total = powers.sum(axis=1, keepdims=True)
        else:
            dark = hidden[start : start + step]
            part[dark] = np.iinfo(x.dtype).min
            powers = table[part.max(axis=1, keepdims=True) - part]
            powers[dark] = 0
            total = np.maximum(powers.sum(axis=1, keepdims=True), 1)
        found[start : start + step] = share(powers, total)
    np.moveaxis(target, axis, -1)[...] = found.reshape(x.shape)


def _hidden(axis: int, hides: int, sources: list[Array]) -> Array | None:
    """Which elements of the lines are hidden; None where there is no mask."""
    if len(sources) == 2:
        return None
    mask = np.moveaxis(np.broadcast_to(sources[1], sources[0].shape), axis, -1)
    hidden: Array = mask.reshape(-1, mask.shape[-1]) == hides
    return hidden


SOFTMAX = Kernel(softmax, 2, SoftmaxAttr)
SOFTMAX_MASKED = Kernel(softmax, 3, SoftmaxAttr)
SOFTMAX_SCALED = Kernel(softmax_scaled, 2, SoftmaxScaledAttr)
SOFTMAX_SCALED_MASKED = Kernel(softmax_scaled, 3, SoftmaxScaledAttr)
