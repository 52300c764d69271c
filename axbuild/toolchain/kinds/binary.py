"""Two activations, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Kind


@dataclass(frozen=True, eq=False)
class Add(Kind):
    """y = clamp(y_zero + (((a - a_zero) a_multiplier + (b - b_zero) b_multiplier + 2^(shift-1)) >> shift)); broadcast as ONNX."""

    op_type: ClassVar[str] = "AxQuantizedAdd"
    job: ClassVar[str] = "eltwise"
    engine: ClassVar[str] = "teng"

    a_zero: int
    b_zero: int
    y_zero: int
    a_multiplier: int
    b_multiplier: int
    shift: int
    lo: int
    hi: int
