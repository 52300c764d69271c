"""Pixels at computed coordinates."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.sample import FloatSampleAttr, SampleAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.interpolate import FINE, WHOLE
from axbuild.toolchain.npu.simulator.requantise import requantise


def sample(sources: list[Array], targets: list[Array], attr: SampleAttr) -> None:
    """The four pixels around each place, weighed in whole numbers of 2^-22; what lies outside weighs nothing."""
    for x, grid, y in zip(*sources, targets[0], strict=True):
        columns, rows = (_steps(grid[..., k], x.shape[2 - k], attr, WHOLE) for k in (0, 1))
        acc = np.zeros((x.shape[0], *grid.shape[:2]), np.int64)
        for row, high in _sides(rows, x.shape[1], WHOLE):
            for column, wide in _sides(columns, x.shape[2], WHOLE):
                acc += (x[:, row, column].astype(np.int64) - attr.x_zero) * (high * wide)
        requantise(acc, scaled(attr.m, attr.t), attr.y_zero, attr.lo, attr.hi, y)


def float_sample(sources: list[Array], targets: list[Array], attr: FloatSampleAttr) -> None:
    """The same in float64, in 2^-48: the columns of each row are added before the rows."""
    for x, grid, y in zip(*sources, targets[0], strict=True):
        columns, rows = (_steps(grid[..., k], x.shape[2 - k], attr, FINE) for k in (0, 1))
        sides = _sides(columns, x.shape[2], FINE)
        with np.errstate(all="ignore"):
            near, far = (
                np.add(*(x[:, row, column].astype(np.float64) * (high * wide) for column, wide in sides))
                for row, high in _sides(rows, x.shape[1], FINE)
            )
            y[...] = (near + far) * 2.0**-48 + 0.0


def _steps(coordinates: Array, size: int, attr: SampleAttr | FloatSampleAttr, whole: int) -> Array:
    """int64: places along an axis in 1 / whole of a pixel."""
    with np.errstate(invalid="ignore"):
        place = (coordinates.astype(np.float64) + 1.0) * ((size - 1 if attr.corners else size) * 0.5)
        place -= 0.0 if attr.corners else 0.5
    place[np.isnan(place)] = 0.0
    np.clip(place, *((0, size - 1) if attr.border else (-2, size + 1)), out=place)
    counted = np.rint(place) * whole if attr.nearest else np.floor(place * whole + 0.5)
    return counted.astype(np.int64)


def _sides(steps: Array, size: int, whole: int) -> list[tuple[Array, Array]]:
    """(positions, weights) of the pixels before and behind."""
    before, weight = steps // whole, steps % whole
    return [
        (np.clip(at, 0, size - 1), np.where((at >= 0) & (at < size), own, 0))
        for at, own in ((before, whole - weight), (before + 1, weight))
    ]


FLOAT_SAMPLE = Kernel(float_sample, 2, FloatSampleAttr)
SAMPLE = Kernel(sample, 2, SampleAttr)
