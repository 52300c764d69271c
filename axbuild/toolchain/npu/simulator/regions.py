"""Regions of a map."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32, scaled
from axbuild.toolchain.npu.lower.regions import RegionsAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.indexed import positions
from axbuild.toolchain.npu.simulator.interpolate import WHOLE
from axbuild.toolchain.npu.simulator.requantise import requantise


def regions(sources: list[Array], targets: list[Array], attr: RegionsAttr) -> None:
    """Region by region: its samples as two products of weights with the map, summed bin by bin."""
    x, ends, index = sources
    (target,) = targets
    for region, sample, y in zip(ends.astype(np.float64), positions(index, len(x)), target, strict=True):
        down = _weights(region[1], region[3], y.shape[1], x.shape[2], attr)
        across = _weights(region[0], region[2], y.shape[2], x.shape[3], attr)
        centred = x[sample].astype(np.float64) - attr.x_zero
        requantise(down @ centred @ across.T, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, y)


def _weights(start: float, end: float, bins: int, size: int, attr: RegionsAttr) -> Array:
    """float64 [bins, size]: whole numbers of 1 / 2048, what each position weighs in the samples of each bin."""
    scale, less = float(bits_float32(attr.scale_bits)), 0.5 if attr.half else 0.0
    with np.errstate(all="ignore"):
        near, far = start * scale - less, end * scale - less
        extent = far - near
        step = (extent if attr.half or not extent < 1.0 else np.float64(1.0)) / bins
        base = near + np.arange(bins)[:, None] * step
        place = base + (np.arange(attr.samples) + 0.5) * step / attr.samples
    place[np.isnan(place)] = 0.0
    inside = (place >= -1.0) & (place <= size)
    steps = np.floor(np.clip(place, 0, size - 1) * WHOLE + 0.5).astype(np.int64)
    found = np.zeros((bins, size))
    rows = np.broadcast_to(np.arange(bins)[:, None], steps.shape)
    before, rest = steps >> 11, steps & WHOLE - 1
    np.add.at(found, (rows, before), np.where(inside, WHOLE - rest, 0))
    np.add.at(found, (rows, np.minimum(before + 1, size - 1)), np.where(inside, rest, 0))
    return found


REGIONS = Kernel(regions, 3, RegionsAttr)
