"""Pictures at another size, bit for bit as OpenCV's INTER_LINEAR makes them of 8-bit pixels.

    pixel = (((b0 * (r0 >> 4)) >> 16) + ((b1 * (r1 >> 4)) >> 16) + 2) >> 2,    r = a0 * left + a1 * right

with weights a along a row and b along a column, whole numbers of 11 bits, of the distance between half-pixel centres.
Nothing is averaged when a picture shrinks, but that exactly half its size is the mean of each four pixels, as there.
"""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array

_ONE = np.float32(1 << 11)


def resized(pixels: Array, height: int, width: int) -> Array:
    """uint8 [h, w, c] at another size."""
    before = pixels.shape[:2]
    if before == (height, width):
        return pixels
    values = pixels.astype(np.int32)
    if before == (2 * height, 2 * width):
        four = values[::2, ::2] + values[::2, 1::2] + values[1::2, ::2] + values[1::2, 1::2]
        return _bytes(four + 2 >> 2)
    upper, fraction = _places(before[0], height)
    lower = upper + 1
    left, along = _places(before[1], width)
    along = np.where((left < 0) | (left >= before[1] - 1), np.float32(0), along)  # along a column it stays
    sides = (np.clip(left, 0, before[1] - 1), np.clip(left + 1, 0, before[1] - 1)), _weights(along, 1)
    rows = [_row_sums(values[np.clip(row, 0, before[0] - 1)], *sides) >> 4 for row in (upper, lower)]
    above, below = _weights(fraction, 2)
    return _bytes((above * rows[0] >> 16) + (below * rows[1] >> 16) + 2 >> 2)


def _bytes(values: Array) -> Array:
    """Of numbers that a byte holds: weights add up to one."""
    narrow: Array = values.astype(np.uint8)
    return narrow


def _places(before: int, after: int) -> tuple[Array, Array]:
    """Of each new pixel: the old one before its centre, which may be outside, and how far behind it the centre is."""
    places = ((np.arange(after) + 0.5) * (1 / (after / before)) - 0.5).astype(np.float32)
    first = np.floor(places)
    return first.astype(np.int64), places - first


def _weights(fraction: Array, trailing: int) -> tuple[Array, Array]:
    """Of the pixel before and of that behind, on an axis with so many behind it."""
    shaped = fraction.reshape(-1, *[1] * trailing)
    return np.rint((1 - shaped) * _ONE).astype(np.int32), np.rint(shaped * _ONE).astype(np.int32)


def _row_sums(values: Array, sides: tuple[Array, Array], weights: tuple[Array, Array]) -> Array:
    sums: Array = values[:, sides[0]] * weights[0] + values[:, sides[1]] * weights[1]
    return sums
