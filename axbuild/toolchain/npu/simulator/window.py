"""Windows over height and width: what convolutions and poolings share. Maps are NHWC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

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
        return np.subtract(x, dtype(zero), dtype=dtype)
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
