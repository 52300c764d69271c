"""Shares of a whole along an axis, and their logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import LN2_HI, LN2_LO, exp
from axbuild.toolchain.kinds.base import (
    Constant,
    ConstantError,
    Ranges,
    ShapeError,
    aligned,
    memory_axis,
    require_grids,
)
from axbuild.toolchain.kinds.codes import BOOL, Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import DOUBLE, I32, I64, float64, looked_up, saturated, scalar

ONE_BITS = 24
"""fraction bits of a table of powers"""
LEAST_POWER = -700.0
"""below this `exp` is not defined; its power is 0 in the table's bits long before"""
LOG_TERMS = 20
"""of the series of a logarithm"""
_HORNER = "".join(
    f"""
  c{n} = Constant <value = double {{{1.0 / (2 * n + 1)!r}}}> ()
  t{n} = Mul (p{n + 1}, square)
  p{n} = Add (t{n}, c{n})"""
    for n in reversed(range(LOG_TERMS))
)


class OverPowers(Elementwise):
    """A kind on E = table[max - x] and S, its sum along an axis, both exact in int64."""

    job: ClassVar[str] = "softmax"

    x: Grid
    y: Grid
    table: Array
    axis: int

    def require_table(self) -> None:
        """Raises ConstantError unless the table and the axis are such."""
        require_grids(self.op_type, self.x, self.y)
        if self.axis < 0:
            raise ConstantError(f"{self.op_type} has no axis {self.axis}.")
        if self.table.shape != (self.x.type.span + 1,) or self.table[0] != 1 << ONE_BITS or np.any(self.table < 0):
            raise ConstantError(f"{self.op_type} needs a table for the codes of {self.x.type} that falls from 2^24.")
        if np.any(np.diff(self.table) > 0):
            raise ConstantError(f"The table of {self.op_type} must never rise.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def output_shape(self, *inputs: Shape) -> Shape:
        x, *masks = inputs
        if self.axis >= len(x):
            raise ShapeError(f"{self.op_type} on axis {self.axis} cannot read {x}.")
        for mask in masks:
            if len(mask) > len(x) or any(own not in (1, size) for own, size in zip(mask[::-1], x[::-1], strict=False)):
                raise ShapeError(f"{self.op_type} cannot lay a mask {mask} over {x}.")
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        x, *masks = inputs
        lines = (*out[: self.axis], (0, x[self.axis]), *out[self.axis + 1 :])
        return (lines, *(aligned(lines, mask) for mask in masks))

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        along_axis = memory_axis(self.axis, len(inputs[0]))
        return tuple(axis for axis in super().tile_axes(*inputs) if axis != along_axis)


_AXES = """
  axis_i = Constant <value_int: int = @axis> ()
  first = Constant <value = int64[1] {0}> ()
  axes = Unsqueeze (axis_i, first)"""
_POWERS = f"""
  code = Cast <to = {I32}> (x)
  largest = ReduceMax <keepdims = 1> (code, axes)
  distance = Sub (largest, code){looked_up("e", "table", "distance")}
  s = ReduceSum <keepdims = 1> (e, axes)"""


@dataclass(frozen=True, eq=False)
class Softmax(OverPowers):
    """The share of E = table[max - x] in S, its sum along the axis, on the grid of y. L: the codes above y.zero.

    Where y reaches 1 with its last code (scale f32(1 / L)): y = zero + (2 L E + S) // (2 S), in integers. On any other
    scale: y = zero + floor(f64(E) K / f64(S) + 0.5) with K = 1 / f64(scale), saturating. A signed y has its zero at
    its lowest code, to use all codes, or at 0, to use the half that is not negative.

    Behind a mask, a BOOL that broadcasts to x, elements where it is `hides` have E = 0 and are not looked at for the
    largest; where all of a line are hidden, y = zero.

    table: int64 [codes of x] of exp(-s d) 2^24, its first entry 2^24; axis: ONNX axis, not negative.
    """

    spellings: ClassVar = {
        "AxQuantizedSoftmax": {"hides": -1},
        "AxQuantizedSoftmaxWhereFalse": {"hides": 0},
        "AxQuantizedSoftmaxWhereTrue": {"hides": 1},
    }

    hides: int
    x: Grid
    y: Grid
    table: Annotated[Array, Constant(("int64",), 1)]
    axis: int

    def __post_init__(self) -> None:
        self.require_table()
        if self.y.zero == self.y.type.hi:
            raise ConstantError(f"{self.op_type} cannot write {self.y}.")

    @classmethod
    def of(cls, x: Grid, y: Grid, axis: int, hides: int = -1) -> Self:
        """With the table of the grid of x. hides: the truth value of a mask that hides an element; -1: no mask."""
        return cls(hides, x, y, powers_table(x), axis)

    @property
    def masked(self) -> bool:
        return self.hides >= 0

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
        return (self.x, BOOL) if self.masked else (self.x,)

    @property
    def names(self) -> tuple[str, ...]:
        return ("x", "mask") if self.masked else ("x",)

    @property
    def variant(self) -> str:
        return f"of{self.steps}" if self.whole else ""

    def text(self) -> str:
        powers = self._shown() if self.masked else _POWERS
        return _AXES + powers + (self._integers() if self.whole else self._ratio())

    def _shown(self) -> str:
        """E and S of what the mask shows; 1 instead of a sum of 0: a line that is hidden whole has the shares 0 / 1."""
        return f"""
  every_code = Cast <to = {I32}> (x)
  hidden = {"Identity" if self.hides else "Not"} (mask)
  lowest = Constant <value = int32 {{{self.x.type.lo}}}> ()
  code = Where (hidden, lowest, every_code)
  largest = ReduceMax <keepdims = 1> (code, axes)
  distance = Sub (largest, code){looked_up("power", "table", "distance")}
  none = Constant <value = int64 {{0}}> ()
  e = Where (hidden, none, power)
  sum = ReduceSum <keepdims = 1> (e, axes)
  least = Constant <value = int64 {{1}}> ()
  s = Max (sum, least)"""

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


MOST_BITS = 52
"""a sum of powers stays below 2^52, as 2^28 elements keep it"""
_HIGHEST = MOST_BITS - ONE_BITS


@dataclass(frozen=True, eq=False)
class LogSoftmax(OverPowers):
    """y = zero + floor(-((max - x) sx + ln(S 2^-24)) / sy + 0.5), saturating: float64 in this order.

    ln(S 2^-24) = (k hi + 2 z P(z^2)) + k lo with S 2^-24 = m 2^k, m in [1, 2), z = (m - 1) / (m + 1), hi + lo = ln 2,
    and P the first 20 terms of sum t^n / (2 n + 1) by Horner's rule.
    """

    spellings: ClassVar = {"AxQuantizedLogSoftmax": {}}

    x: Grid
    y: Grid
    table: Annotated[Array, Constant(("int64",), 1)]
    axis: int

    def __post_init__(self) -> None:
        self.require_table()

    @classmethod
    def of(cls, x: Grid, y: Grid, axis: int) -> Self:
        """With the table of the grid of x."""
        return cls(x, y, powers_table(x), axis)

    def text(self) -> str:
        return f"""{_AXES}{_POWERS}{_LOGARITHM}{float64("x_step", "x_scale")}{float64("y_step", "y_scale")}
  distance_d = Cast <to = {DOUBLE}> (distance)
  below = Mul (distance_d, x_step)
  depth = Add (below, logarithm)
  steps = Div (depth, y_step)
  level = Neg (steps){saturated("level", self.y.type)}"""


def _doubles(values: list[float]) -> str:
    return f"double[{len(values)}] {{{', '.join(map(repr, values))}}}"


_LOGARITHM = f"""
  ends = Constant <value = int64[{_HIGHEST}] {{{", ".join(str(1 << ONE_BITS + k + 1) for k in range(_HIGHEST))}}}> ()
  inverses = Constant <value = {_doubles([2.0 ** -(ONE_BITS + k) for k in range(_HIGHEST + 1)])}> ()
  last = Constant <value = int64[1] {{-1}}> ()
  s_beside = Unsqueeze (s, last)
  passed = GreaterOrEqual (s_beside, ends)
  passed_i = Cast <to = {I64}> (passed)
  k = ReduceSum <keepdims = 0> (passed_i, last)
  s_f = Cast <to = {DOUBLE}> (s)
  inverse = Gather (inverses, k)
  m = Mul (s_f, inverse)
  unit = Constant <value = double {{1.0}}> ()
  double_unit = Constant <value = double {{2.0}}> ()
  m_less = Sub (m, unit)
  m_more = Add (m, unit)
  z = Div (m_less, m_more)
  square = Mul (z, z)
  p{LOG_TERMS} = Constant <value = double {{0.0}}> (){_HORNER}
  z_twice = Mul (z, double_unit)
  log_m = Mul (z_twice, p0)
  ln2_hi = Constant <value = double {{{LN2_HI!r}}}> ()
  ln2_lo = Constant <value = double {{{LN2_LO!r}}}> ()
  k_f = Cast <to = {DOUBLE}> (k)
  k_hi = Mul (k_f, ln2_hi)
  k_lo = Mul (k_f, ln2_lo)
  log_hi = Add (k_hi, log_m)
  logarithm = Add (log_hi, k_lo)"""


def powers_table(x: Grid) -> Array:
    """int64 [codes of x]: rint(exp(-scale d) 2^24) for the distance d of a code below the largest."""
    exponent = -np.arange(x.type.span + 1, dtype=np.float64) * np.float64(x.scale)
    return np.rint(exp(np.maximum(exponent, LEAST_POWER)) * 2.0**ONE_BITS).astype(np.int64)
