"""Pixels between pixels: linear interpolation of a map along height and width, under one rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import (
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    require_clamp,
    require_grids,
    require_multiplier,
)
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, centred, real_out, requantised

ONE = 1 << 11
FINE = 1 << 24
"""the weights of an axis are whole numbers of 1 / 2048 for codes, of 1 / 2^24 for reals"""


@dataclass(frozen=True)
class Spread:
    """Where the elements of an axis lie: element i at positions[i] + weights[i] / one of another axis."""

    positions: tuple[int, ...]
    weights: tuple[int, ...]


class Interpolating(Kind):
    """The sum over two rows and two columns of both weights times what lies there.

    rows, columns: of each row and column of y the position in x before it; row_weights, column_weights: of the
    position after that, in 1 / one; the position before has the rest.
    """

    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    one: ClassVar[int]
    """the weights of an axis are whole numbers of 1 / one"""
    rows: tuple[int, ...]
    row_weights: tuple[int, ...]
    columns: tuple[int, ...]
    column_weights: tuple[int, ...]

    def require_weights(self) -> None:
        """Raises ConstantError where they are none."""
        for positions, weights in ((self.rows, self.row_weights), (self.columns, self.column_weights)):
            fits = len(positions) == len(weights) > 0 and min(positions) >= 0
            if not fits or min(weights) < 0 or max(weights) >= self.one:
                raise ConstantError(f"{self.op_type} cannot weigh the positions {positions} with {weights}.")

    def mixed(self, pixels: str) -> str:
        """Lines that define the float64 `acc` from the float64 `pixels`, in 1 / one^2: rows first, then columns."""
        return f"""
  one = Constant <value = int64 {{1}}> ()
  whole = Constant <value = double {{{self.one}.0}}> ()
  last_axis = Constant <value = int64[1] {{1}}> ()
  shape = Shape (x)
  sizes = Sub (shape, one){_between("r", pixels, "rows", "row_weights", 2)}
  column = Unsqueeze (r_weight, last_axis)
  r_far_part = Mul (r_far, column)
  r_rest = Sub (whole, column)
  r_near_part = Mul (r_near, r_rest)
  r = Add (r_near_part, r_far_part){_between("c", "r", "columns", "column_weights", 3)}
  c_far_part = Mul (c_far, c_weight)
  c_rest = Sub (whole, c_weight)
  c_near_part = Mul (c_near, c_rest)
  acc = Add (c_near_part, c_far_part)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 4 or max(self.rows) >= x[2] or max(self.columns) >= x[3]:
            raise ShapeError(
                f"{self.op_type} to {len(self.rows)} rows and {len(self.columns)} columns cannot read {x}."
            )
        return (*x[:2], len(self.rows), len(self.columns))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        read = (
            (min(positions[slice(*own)]), min(max(positions[slice(*own)]) + 2, size))
            for positions, own, size in zip((self.rows, self.columns), out[2:], x[2:], strict=True)
        )
        return ((*out[:2], *read),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(4)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Four products an element."""
        return 4 * out.elements / rates.teng_elements


@dataclass(frozen=True, eq=False)
class Interpolate(Interpolating):
    """y = clamp(y.zero + floor(acc M + 0.5)), acc: the sum over x - x.zero. |acc| < 2^16 2^22. M = sx / (sy 2^22)."""

    spellings: ClassVar = {"AxQuantizedResizeLinear": {}}
    one: ClassVar[int] = ONE

    x: Grid
    y: Grid
    rows: tuple[int, ...]
    row_weights: tuple[int, ...]
    columns: tuple[int, ...]
    column_weights: tuple[int, ...]
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        self.require_weights()
        require_multiplier(self.op_type, self.multiplier)

    @classmethod
    def of(cls, x: Grid, y: Grid, rows: Spread, columns: Spread, lo: int, hi: int) -> Interpolate:
        """rows, columns: of y, in x."""
        multiplier = float(np.float64(x.scale) / (np.float64(y.scale) * np.float64(ONE * ONE)))
        return cls(x, y, rows.positions, rows.weights, columns.positions, columns.weights, multiplier, lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        pixels = centred("centred", "x", "x", DOUBLE)
        return f"""{pixels}{self.mixed("centred")}{requantised("acc", "multiplier", self.y.type)}"""


@dataclass(frozen=True, eq=False)
class FloatInterpolate(Interpolating):
    """y = f32(acc 2^-48), all in float64."""

    spellings: ClassVar = {"AxFloatResizeLinear": {}}
    one: ClassVar[int] = FINE

    rows: tuple[int, ...]
    row_weights: tuple[int, ...]
    columns: tuple[int, ...]
    column_weights: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require_weights()

    @classmethod
    def of(cls, rows: Spread, columns: Spread) -> FloatInterpolate:
        """rows, columns: of y, in x, in 1 / FINE."""
        return cls(rows.positions, rows.weights, columns.positions, columns.weights)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""
  pixels = Cast <to = {DOUBLE}> (x){self.mixed("pixels")}
  unit = Constant <value = double {{{1.0 / FINE**2!r}}}> ()
  y_d = Mul (acc, unit){real_out("y_d")}"""


def _between(name: str, source: str, positions: str, weights: str, axis: int) -> str:
    """Lines that define `name`_near and `name`_far, the elements along an axis, and the weight of the far ones."""
    return f"""
  {name}_here = Constant <value_ints: ints = @{positions}> ()
  {name}_next = Add ({name}_here, one)
  {name}_axis = Constant <value = int64 {{{axis}}}> ()
  {name}_last = Gather (sizes, {name}_axis)
  {name}_there = Min ({name}_next, {name}_last)
  {name}_near = Gather <axis = {axis}> ({source}, {name}_here)
  {name}_far = Gather <axis = {axis}> ({source}, {name}_there)
  {name}_weight_i = Constant <value_ints: ints = @{weights}> ()
  {name}_weight = Cast <to = {DOUBLE}> ({name}_weight_i)"""
