"""Normalisation over the last axes."""

from __future__ import annotations

import math

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.norm import NormAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import BLOCK
from axbuild.toolchain.npu.simulator.requantise import requantise


def norm(sources: list[Array], targets: list[Array], attr: NormAttr) -> None:
    """(N d - S1) / sqrt(N S2 - S1^2 + m 2^-t) weight + bias; sources[1]: float64 [2, ...] = weight, bias,
    as they broadcast to the last axes."""
    x, (weight, bias) = sources
    sizes = x.shape[x.ndim - attr.axes :]
    count = math.prod(sizes)
    rows = x.reshape(math.prod(x.shape[: x.ndim - attr.axes]), count)
    codes = np.empty(rows.shape, targets[0].dtype)
    step = max(1, BLOCK // count)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        unit = _unit(rows[part].astype(np.int64), count, attr)
        spread = unit.reshape(len(unit), *sizes)
        spread *= weight
        spread += bias
        requantise(unit, 1.0, attr.y_zero, attr.lo, attr.hi, codes[part])
    targets[0][...] = codes.reshape(targets[0].shape)


def _unit(d: Array, count: int, attr: NormAttr) -> Array:
    """float64 [rows, N] of mean 0 (or as it was) and variance 1.

    N d - S1 and N S2 - S1^2 are the same whatever is taken from all codes alike, so exact sums need no mean first.
    """
    d -= attr.x_zero
    s1 = d.sum(axis=1, keepdims=True)
    if attr.subtract_mean and not attr.exact:
        d -= np.rint((s1 + attr.x_zero * count) / count).astype(np.int64) - attr.x_zero
        s1 = d.sum(axis=1, keepdims=True)
    if not attr.subtract_mean:
        s1[...] = 0
    s2 = np.einsum("rn,rn->r", d, d)[:, None]
    if attr.exact:
        variance = (s2 * count - s1 * s1).astype(np.float64)
    else:
        variance = s2.astype(np.float64) * float(count) - s1.astype(np.float64) * s1.astype(np.float64)
    found: Array = (d * count - s1) / np.sqrt(variance + scaled(attr.m, attr.t))
    return found


NORM = Kernel(norm, 2, NormAttr)
