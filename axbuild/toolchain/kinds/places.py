"""Where the elements of a resized axis lie on the axis before."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

HALF = Fraction(1, 2)


def _symmetric(i: int, size: int, out: int, scale: Fraction) -> Fraction:
    """Half a pixel, with what a rounded `out` leaves over on both sides alike."""
    return (size - out / scale) / 2 + (i + HALF) / scale - HALF


PLACES: dict[str, Callable[[int, int, int, Fraction], Fraction]] = {
    "half_pixel": lambda i, size, out, scale: (i + HALF) / scale - HALF,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda i, size, out, scale: (i + HALF) / scale - HALF if out > 1 else Fraction(0),
    "asymmetric": lambda i, size, out, scale: i / scale,
    "align_corners": lambda i, size, out, scale: Fraction(i * (size - 1), max(out - 1, 1)),
}
"""coordinate_transformation_mode of Resize -> the place of element i of `out` on an axis of `size` elements"""

ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda place: math.ceil(place - HALF),
    "round_prefer_ceil": lambda place: math.floor(place + HALF),
    "floor": math.floor,
    "ceil": math.ceil,
}
"""nearest_mode of Resize"""


def nearest(size: int, out: int, place: str, rounding: str) -> tuple[int, ...]:
    """The position of each element, exact where `out` is a whole multiple of `size`."""
    places = (PLACES[place](i, size, out, Fraction(out, size)) for i in range(out))
    return tuple(min(max(ROUNDINGS[rounding](at), 0), size - 1) for at in places)
