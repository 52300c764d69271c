"""Between reals and codes, and between two code grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import multiplier_of
from axbuild.toolchain.kinds.base import Constant, ConstantError, ShapeError, require_clamp, require_grids
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, along, centred, fenced, known, requantised, within


@dataclass(frozen=True, eq=False)
class Quantize(Elementwise):
    """rint(x / scale) + zero, a float32 division written as a fence, half to even, saturating: ONNX's QuantizeLinear.

    NaN, of which ONNX says nothing, gives zero.
    """

    spellings: ClassVar = {"AxQuantizeLinear": {}}
    job: ClassVar[str] = "quant"

    y: Grid

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.y)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""
  scale = Constant <value_float: float = @y_scale> (){fenced("ratio", "Div", "x", "scale")}
  nearest = Round (ratio)
  whole = Cast <to = {DOUBLE}> (nearest){known("steps", "whole")}{within("steps", self.y.type)}"""


@dataclass(frozen=True, eq=False)
class Dequantize(Elementwise):
    """f32(q - zero) * scale: one float32 multiply, written as a fence."""

    spellings: ClassVar = {"AxDequantizeLinear": {}}
    job: ClassVar[str] = "quant"

    x: Grid

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""
  scale_f = Constant <value_float: float = @x_scale> (){centred("steps", "x", "x", FLOAT)}
  {fenced("y", "Mul", "steps", "scale_f")}"""


@dataclass(frozen=True, eq=False)
class Requantize(Elementwise):
    """y = clamp(R(x - zero)): the same real value on another grid."""

    spellings: ClassVar = {"AxRequantizeLinear": {}}
    job: ClassVar[str] = "quant"

    x: Grid
    y: Grid
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        if self.multiplier != _ratio(self.x, self.y):
            raise ConstantError(f"The multiplier {self.multiplier!r} of {self.op_type} is not that of its grids.")

    @classmethod
    def of(cls, x: Grid, y: Grid, lo: int | None = None, hi: int | None = None) -> Self:
        """From grid to grid; without a clamp, to all codes of y."""
        lowest, highest = y.type.lo if lo is None else lo, y.type.hi if hi is None else hi
        return cls(x, y, _ratio(x, y), lowest, highest)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{centred("acc", "x", "x", DOUBLE)}{requantised("acc", "multiplier", self.y.type)}"""


def _ratio(x: Grid, y: Grid) -> float:
    return multiplier_of(x.scale / y.scale, x, y)


@dataclass(frozen=True, eq=False)
class Normalize(Elementwise):
    """(f32(x) - mean) / std an element of the channel axis, two IEEE operations on float32.

    x: FP32, or the grid of raw values (scale 1, zero 0). mean, std: float32 [c]; axis: ONNX axis, not negative.
    """

    spellings: ClassVar = {"AxNormalize": {}}
    job: ClassVar[str] = "quant"

    x: Edge
    mean: Annotated[Array, Constant(("float32",), 1)]
    std: Annotated[Array, Constant(("float32",), 1)]
    axis: int

    def __post_init__(self) -> None:
        if self.x != FP32 and not (isinstance(self.x, Grid) and self.x == Grid(1.0, 0, self.x.type)):
            raise ConstantError(f"{self.op_type} reads raw values or FP32, not {self.x}.")
        if self.mean.shape != self.std.shape or self.axis < 0:
            raise ConstantError(
                f"{self.op_type} on axis {self.axis} has {self.mean.shape} means and {self.std.shape} deviations."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ConstantError(f"{self.op_type} needs finite means and positive deviations.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""{along("mean_c", "mean", "x")}{along("std_c", "std", "x")}
  {fenced("shifted", "Sub", "x", "mean_c")}{fenced("y", "Div", "shifted", "std_c")}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or x[self.axis] != len(self.mean):
            raise ShapeError(f"{self.op_type} of {len(self.mean)} channels on axis {self.axis} cannot read {x}.")
        return x
