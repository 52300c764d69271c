"""Which element of an axis each element of a resized one is, where nothing is interpolated."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

HALF = Fraction(1, 2)

PLACES: dict[str, Callable[[int, int, int], Fraction]] = {
    "half_pixel": lambda i, size, out: (i + HALF) * size / out - HALF,
    "half_pixel_symmetric": lambda i, size, out: (i + HALF) * size / out - HALF,
    "pytorch_half_pixel": lambda i, size, out: (i + HALF) * size / out - HALF if out > 1 else Fraction(0),
    "asymmetric": lambda i, size, out: Fraction(i * size, out),
    "align_corners": lambda i, size, out: Fraction(i * (size - 1), max(out - 1, 1)),
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
    places = (PLACES[place](i, size, out) for i in range(out))
    return tuple(min(max(ROUNDINGS[rounding](at), 0), size - 1) for at in places)
