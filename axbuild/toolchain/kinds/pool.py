"""Windows over height and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Array, Kind


@dataclass(frozen=True, eq=False)
class MaxPool(Kind):
    """Largest code of each window; padding never wins. pads: top, left, bottom, right (with ceil_mode resolved into them)."""

    op_type: ClassVar[str] = "AxMaxPool"
    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    lo: int
    hi: int


@dataclass(frozen=True, eq=False)
class AveragePool(Kind):
    """clamp(R(exact sum of centred codes)) with one multiplier a position. multiplier: float64 [ho, wo] (by distinct count)."""

    op_type: ClassVar[str] = "AxQuantizedAveragePool"
    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    multiplier: Array
    x_zero: int
    y_zero: int
    lo: int
    hi: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
