"""Between reals and codes, and between two code grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import Array, Kind


@dataclass(frozen=True, eq=False)
class Quantize(Kind):
    """floor(f64(x) / f64(scale) + 0.5) + zero, saturating to 0..255; NaN gives zero. scale: float32 value."""

    op_type: ClassVar[str] = "AxQuantizeLinear"
    job: ClassVar[str] = "quant"
    engine: ClassVar[str] = "teng"

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Dequantize(Kind):
    """f32(q - zero) * scale: one float32 multiply."""

    op_type: ClassVar[str] = "AxDequantizeLinear"
    job: ClassVar[str] = "quant"
    engine: ClassVar[str] = "teng"
    output_dtype: ClassVar[str] = "float32"

    scale: float
    zero: int


@dataclass(frozen=True, eq=False)
class Requantize(Kind):
    """y = clamp(R(x - x_zero)): the same real value on another grid."""

    op_type: ClassVar[str] = "AxRequantizeLinear"
    job: ClassVar[str] = "quant"
    engine: ClassVar[str] = "teng"

    multiplier: float
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True, eq=False)
class Normalize(Kind):
    """(f32(x) - mean) / std an element of the channel axis, float32, two IEEE operations. mean, std: float32 [c]; axis: ONNX axis."""

    op_type: ClassVar[str] = "AxNormalize"
    job: ClassVar[str] = "quant"
    engine: ClassVar[str] = "teng"
    output_dtype: ClassVar[str] = "float32"

    mean: Array
    std: Array
    axis: int
