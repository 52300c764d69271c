"""Between reals and codes, and between two code grids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import check_multipliers
from axbuild.toolchain.kinds.base import ConstantError, ShapeError, Tensor, parse_body
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import (
    DOUBLE,
    FLOAT,
    INT32,
    UINT8,
    along,
    centred,
    check_clamp,
    check_codes,
    requantised,
    scalar,
)

if TYPE_CHECKING:
    import onnx


def _check_scale(what: str, scale: float) -> None:
    if not (math.isfinite(scale) and scale >= np.finfo(np.float32).tiny and scale == float(np.float32(scale))):
        raise ConstantError(f"The scale {scale!r} of {what} is not a positive normal float32.")


@dataclass(frozen=True, eq=False)
class Quantize(Elementwise):
    """floor(f64(x) / f64(scale) + 0.5) + zero, saturating to 0..255; NaN gives zero. scale: float32 value."""

    op_type: ClassVar[str] = "AxQuantizeLinear"
    job: ClassVar[str] = "quant"

    scale: float
    zero: int

    def __post_init__(self) -> None:
        _check_scale(self.op_type, self.scale)
        check_codes(self.op_type, zero=self.zero)

    def body(self) -> onnx.FunctionProto:
        return parse_body(_QUANTIZE, "")


_QUANTIZE = f"""AxQuantizeLinear <scale, zero> (x) => (y) {{
  scale_f = Constant <value_float: float = @scale> ()
  scale_d = Cast <to = {DOUBLE}> (scale_f)
  half = Constant <value = double {{0.5}}> (){scalar("zero_d", "zero", DOUBLE)}
  lowest = Constant <value = double {{0.0}}> ()
  highest = Constant <value = double {{255.0}}> ()
  real = Cast <to = {DOUBLE}> (x)
  ratio = Div (real, scale_d)
  raised = Add (ratio, half)
  rounded = Floor (raised)
  moved = Add (rounded, zero_d)
  unknown = IsNaN (moved)
  known = Where (unknown, zero_d, moved)
  inside = Clip (known, lowest, highest)
  y = Cast <to = {UINT8}> (inside)
}}"""


@dataclass(frozen=True, eq=False)
class Dequantize(Elementwise):
    """f32(q - zero) * scale: one float32 multiply."""

    op_type: ClassVar[str] = "AxDequantizeLinear"
    job: ClassVar[str] = "quant"

    scale: float
    zero: int

    def __post_init__(self) -> None:
        _check_scale(self.op_type, self.scale)
        check_codes(self.op_type, zero=self.zero)

    @property
    def output_dtype(self) -> str:
        return "float32"

    def body(self) -> onnx.FunctionProto:
        return parse_body(_DEQUANTIZE, "")


_DEQUANTIZE = f"""AxDequantizeLinear <scale, zero> (x) => (y) {{
  scale_f = Constant <value_float: float = @scale> (){centred("steps", "x", "zero", INT32)}
  real = Cast <to = {FLOAT}> (steps)
  y = Mul (real, scale_f)
}}"""


@dataclass(frozen=True, eq=False)
class Requantize(Elementwise):
    """y = clamp(R(x - x_zero)): the same real value on another grid."""

    op_type: ClassVar[str] = "AxRequantizeLinear"
    job: ClassVar[str] = "quant"

    multiplier: Annotated[float, Tensor("float64", 0)]
    x_zero: int
    y_zero: int
    lo: int
    hi: int

    def __post_init__(self) -> None:
        check_codes(self.op_type, x_zero=self.x_zero, y_zero=self.y_zero)
        check_clamp(self.op_type, self.lo, self.hi)
        check_multipliers(self.multiplier)

    def body(self) -> onnx.FunctionProto:
        return parse_body(_REQUANTIZE, "")


_REQUANTIZE = f"""AxRequantizeLinear <x_zero, y_zero, lo, hi> (x, multiplier) => (y)
  {{{centred("acc", "x", "x_zero", DOUBLE)}{requantised("acc", "multiplier")}
}}"""


@dataclass(frozen=True, eq=False)
class Normalize(Elementwise):
    """(f32(x) - mean) / std an element of the channel axis, float32, two IEEE operations.

    x: uint8 or float32. mean, std: float32 [c]; axis: ONNX axis, not negative.
    """

    op_type: ClassVar[str] = "AxNormalize"
    job: ClassVar[str] = "quant"

    mean: Annotated[Array, Tensor("float32", 1)]
    std: Annotated[Array, Tensor("float32", 1)]
    axis: int

    def __post_init__(self) -> None:
        if self.mean.shape != self.std.shape or self.axis < 0:
            raise ConstantError(
                f"{self.op_type} on axis {self.axis} has {self.mean.shape} means and {self.std.shape} deviations."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ConstantError(f"{self.op_type} needs finite means and positive deviations.")

    @property
    def output_dtype(self) -> str:
        return "float32"

    def body(self) -> onnx.FunctionProto:
        return parse_body(_NORMALIZE, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or x[self.axis] != len(self.mean):
            raise ShapeError(f"{self.op_type} of {len(self.mean)} channels on axis {self.axis} cannot read {x}.")
        return x


_NORMALIZE = f"""AxNormalize <axis> (x, mean, std) => (y)
  {{{along("mean_c", "mean", "x")}{along("std_c", "std", "x")}
  source = Cast <to = {FLOAT}> (x)
  shifted = Sub (source, mean_c)
  y = Div (shifted, std_c)
}}"""
