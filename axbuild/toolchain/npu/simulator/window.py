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
    """Padded maps [n, h, w, c] by lines of pixels, [pixels * c]. Numpy takes long lines several times faster than short
    ones, so columns that a stride brings together lie side by side."""

    def __init__(self, maps: Array, attr: WindowAttr) -> None:
        stride = attr.strides[1]
        self._attr, self._channels = attr, maps.shape[3]
        parted = [maps[:, :, first::stride] for first in range(stride)]
        self._columns = [part.reshape(*part.shape[:2], -1) for part in parted]

    def products(self, n: int, top: int, bottom: int, taps: Array, total: Any) -> Array:
        """[bottom - top, length] of one map: windows times taps [kh, kw, length], summed in `total`; rows are the
        output's."""
        stride, dilation, width = self._attr.strides[1], self._attr.dilations[1], self._attr.kernel[1]
        found = []
        for first, columns in enumerate(self._columns):
            mine = [tap for tap in range(width) if tap * dilation % stride == first]
            if mine:
                shifted = self._shifted(columns[n], top, bottom, taps.shape[2])
                places = _every([tap * dilation // stride * self._channels for tap in mine])
                found.append(np.einsum("rxyl,yxl->rl", shifted[:, places], taps[:, _every(mine)], dtype=total))
        sums: Array = sum(found[1:], found[0])
        return sums

    def _shifted(self, columns: Array, top: int, bottom: int, length: int) -> Array:
        """View [rows, places of a line, kh, length]."""
        height, (stride, _), (step, _) = self._attr.kernel[0], self._attr.strides, self._attr.dilations
        size = ((height - 1) * step + 1, length)
        rows = slice(top * stride, (bottom - 1) * stride + 1, stride)
        return sliding_window_view(columns, size, axis=(0, 1))[rows, :, ::step]


def _every(numbers: list[int]) -> slice:
    """The slice that picks an arithmetic progression."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    return slice(numbers[0], numbers[-1] + 1, step)
