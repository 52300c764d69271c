"""Sums over whole axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Kind


@dataclass(frozen=True, eq=False)
class GlobalAveragePool(Kind):
    """clamp(R(exact sum of centred codes over height and width)), rank 4, dimensions kept. multiplier: sx / (sy count)."""

    op_type: ClassVar[str] = "AxQuantizedGlobAvgPool"
    job: ClassVar[str] = "reduce"
    engine: ClassVar[str] = "teng"

    multiplier: float
    x_zero: int
    y_zero: int
    lo: int
    hi: int
