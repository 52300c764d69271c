"""Shares of a whole along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import exp
from axbuild.toolchain.kinds.base import Constant, ConstantError, Ranges, ShapeError, memory_axis, require_grids
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import DOUBLE, I32, I64, float64, saturated, scalar

ONE_BITS = 24
"""fraction bits of a table of powers"""
LEAST_POWER = -700.0
"""below this `exp` is not defined; its power is 0 in the table's bits long before"""


@dataclass(frozen=True, eq=False)
class Softmax(Elementwise):
    """The share of E = table[max - x] in S, its sum along the axis, on the grid of y. L: the codes above y.zero.

    Where y reaches 1 with its last code (scale f32(1 / L)): y = zero + (2 L E + S) // (2 S), in integers. On any other
    scale: y = zero + floor(f64(E) K / f64(S) + 0.5) with K = 1 / f64(scale), saturating. A signed y has its zero at
    its lowest code, to use all codes, or at 0, to use the half that is not negative.

    table: int64 [codes of x] of exp(-s d) 2^24, its first entry 2^24; axis: ONNX axis, not negative.
    """

    spellings: ClassVar = {"AxQuantizedSoftmax": {}}
    job: ClassVar[str] = "softmax"

    x: Grid
    y: Grid
    table: Annotated[Array, Constant(("int64",), 1)]
    axis: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        if self.axis < 0 or self.y.zero == self.y.type.hi:
            raise ConstantError(f"{self.op_type} on axis {self.axis} cannot write {self.y}.")
        if self.table.shape != (self.x.type.span + 1,) or self.table[0] != 1 << ONE_BITS or np.any(self.table < 0):
            raise ConstantError(f"{self.op_type} needs a table for the codes of {self.x.type} that falls from 2^24.")
        if np.any(np.diff(self.table) > 0):
            raise ConstantError(f"The table of {self.op_type} must never rise.")

    @classmethod
    def of(cls, x: Grid, y: Grid, axis: int) -> Self:
        """With the table of the grid of x."""
        return cls(x, y, powers_table(x), axis)

    @property
    def steps(self) -> int:
        """L, the highest share in steps of y."""
        return self.y.type.hi - self.y.zero

    @property
    def whole(self) -> bool:
        """Whether the last code of y stands for 1."""
        return self.y.scale == float(np.float32(1 / self.steps))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def variant(self) -> str:
        return f"of{self.steps}" if self.whole else ""

    def text(self) -> str:
        return f"""
  axis_i = Constant <value_int: int = @axis> ()
  first = Constant <value = int64[1] {{0}}> ()
  axes = Unsqueeze (axis_i, first)
  code = Cast <to = {I32}> (x)
  largest = ReduceMax <keepdims = 1> (code, axes)
  distance = Sub (largest, code)
  e = Gather (table, distance)
  s = ReduceSum <keepdims = 1> (e, axes){self._integers() if self.whole else self._ratio()}"""

    def _integers(self) -> str:
        return f"""{scalar("zero", "y_zero", I64)}
  twice_l = Constant <value = int64 {{{2 * self.steps}}}> ()
  two = Constant <value = int64 {{2}}> ()
  weighted = Mul (e, twice_l)
  numerator = Add (weighted, s)
  denominator = Mul (s, two)
  share = Div (numerator, denominator)
  moved = Add (share, zero)
  y = Cast <to = {self.y.type.onnx}> (moved)"""

    def _ratio(self) -> str:
        return f"""
  one = Constant <value = double {{1.0}}> (){float64("scale", "y_scale")}
  k = Div (one, scale)
  e_d = Cast <to = {DOUBLE}> (e)
  s_d = Cast <to = {DOUBLE}> (s)
  weighted = Mul (e_d, k)
  share = Div (weighted, s_d){saturated("share", self.y.type)}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x):
            raise ShapeError(f"{self.op_type} on axis {self.axis} cannot read {x}.")
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[: self.axis], (0, x[self.axis]), *out[self.axis + 1 :]),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        along_axis = memory_axis(self.axis, len(inputs[0]))
        return tuple(axis for axis in super().tile_axes(*inputs) if axis != along_axis)


def powers_table(x: Grid) -> Array:
    """int64 [codes of x]: rint(exp(-scale d) 2^24) for the distance d of a code below the largest."""
    exponent = -np.arange(x.type.span + 1, dtype=np.float64) * np.float64(x.scale)
    return np.rint(exp(np.maximum(exponent, LEAST_POWER)) * 2.0**ONE_BITS).astype(np.int64)
