"""Windows over height and width: what convolutions and poolings share. Maps are NHWC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.window import WindowAttr


def padded(x: Array, attr: WindowAttr, value: float) -> Array:
    """x with `value` around it, as the job's pads say; its own dtype."""
    top, left, bottom, right = attr.pads
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def centred(x: Array, attr: WindowAttr, zero: int, dtype: type[np.floating[Any]]) -> Array:
    """Codes less `zero` in `dtype`, with 0.0 around them, as the job's pads say."""
    top, left, bottom, right = attr.pads
    n, h, w, c = x.shape
    if not any(attr.pads):
        return np.subtract(x, dtype(zero), dtype=dtype) if zero else x.astype(dtype)
    whole = np.zeros((n, h + top + bottom, w + left + right, c), dtype)
    np.subtract(x, dtype(zero), out=whole[:, top : top + h, left : left + w])
    return whole


def windows(image: Array, top: int, bottom: int, width: int, attr: WindowAttr) -> Iterator[Array]:
    """One view [bottom - top, width, c] of a padded image [h, w, c] for each tap of the kernel, row-major."""
    (kh, kw), (sh, sw), (dh, dw) = attr.kernel, attr.strides, attr.dilations
    for dy in range(kh):
        first = top * sh + dy * dh
        for dx in range(kw):
            yield image[first : first + (bottom - top - 1) * sh + 1 : sh, dx * dw : dx * dw + (width - 1) * sw + 1 : sw]


class PixelLines:
    """Padded maps [n, h, w, c] by lines of `pixels` pixels, [pixels * c]. Numpy takes long lines several times faster
    than short ones, so columns that a stride brings together lie side by side."""

    def __init__(self, maps: Array, pixels: int, attr: WindowAttr) -> None:
        (self._down, across), (apart, dilation), (height, width) = attr.strides, attr.dilations, attr.kernel
        size = ((height - 1) * apart + 1, pixels * maps.shape[3])
        self._parts = []
        for first in range(across):
            mine = [tap for tap in range(width) if tap * dilation % across == first]
            if mine:
                lines = maps[:, :, first::across].reshape(*maps.shape[:2], -1)
                places = _every([tap * dilation // across * maps.shape[3] for tap in mine])
                self._parts.append((_every(mine), sliding_window_view(lines, size, axis=(1, 2))[:, :, places, ::apart]))

    def products(self, n: int, top: int, bottom: int, taps: Array, total: Any) -> Array:
        """[bottom - top, length] of one map: windows times taps [kh, kw, length], summed in `total`; rows are the
        output's."""
        rows = slice(top * self._down, (bottom - 1) * self._down + 1, self._down)
        sums = [np.einsum("rxyl,yxl->rl", part[n, rows], taps[:, mine], dtype=total) for mine, part in self._parts]
        whole: Array = sum(sums[1:], sums[0])
        return whole


def _every(numbers: list[int]) -> slice:
    """The slice that picks an arithmetic progression."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    return slice(numbers[0], numbers[-1] + 1, step)
