"""Pixels at coordinates that are computed: between the pixels of a map, or the nearest of them."""

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
from axbuild.toolchain.kinds.interpolate import FINE, ONE
from axbuild.toolchain.kinds.text import DOUBLE, I64, centred, known, real_out, requantised

MODES = ("linear", "nearest")
PADDINGS = ("zeros", "border")


class Sampling(Kind):
    """The sum over two rows and two columns of both weights times what lies there.

    b: float32 [n, rows, columns, 2], the column's coordinate before the row's. In float64: place = (g + 1) (size - 1)
    / 2 with `corners`, else (g + 1) size / 2 - 1 / 2, no number counting as 0; kept between -2 and size + 1, or with
    the padding `border` inside the map. u = floor(one place + 0.5), or one rint(place) for the nearest; position u //
    one has the weight one - u % one, the next one the rest. Pixels outside the map count as 0.0.
    """

    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    one: ClassVar[int]
    """the weights of an axis are whole numbers of 1 / one"""
    mode: str
    padding: str
    corners: int

    def require_mode(self) -> None:
        """Raises ConstantError where it is none."""
        if self.mode not in MODES or self.padding not in PADDINGS or self.corners not in (0, 1):
            raise ConstantError(f"{self.op_type} does not know {self.mode} with {self.padding} and {self.corners}.")

    @property
    def variant(self) -> str:
        return f"{self.mode}_{self.padding}" + ("_corners" if self.corners else "")

    def sampled(self, pixels: str) -> str:
        """Lines that define the float64 `acc` from the float64 `pixels`, in 1 / one^2."""
        corners = [(row, column) for row in ("near", "far") for column in ("near", "far")]
        return f"""
  none = Constant <value = double {{0.0}}> ()
  point_five = Constant <value = double {{0.5}}> ()
  unit = Constant <value = double {{1.0}}> ()
  two = Constant <value = double {{2.0}}> ()
  one = Constant <value = double {{{self.one}.0}}> ()
  batch = Shape <start = 0, end = 1> (a)
  channels = Shape <start = 1, end = 2> (a)
  rows = Shape <start = 2, end = 3> (a)
  columns = Shape <start = 3, end = 4> (a)
  made = Shape <start = 1, end = 3> (b)
  all = Constant <value = int64[1] {{-1}}> ()
  single = Constant <value = int64[1] {{1}}> ()
  flat_shape = Concat <axis = 0> (batch, channels, all)
  line_shape = Concat <axis = 0> (batch, single, all)
  end_shape = Concat <axis = 0> (batch, channels, made)
  flat = Reshape ({pixels}, flat_shape){self._axis("c", "columns", 0)}{self._axis("r", "rows", 1)}
  columns_f = Cast <to = {DOUBLE}> (columns){"".join(_corner(row, column) for row, column in corners)}
  acc_near = Add (part_near_near, part_near_far)
  acc_far = Add (part_far_near, part_far_far)
  acc_flat = Add (acc_near, acc_far)
  acc = Reshape (acc_flat, end_shape)"""

    def _axis(self, name: str, size: str, number: int) -> str:
        """Lines that define `name`_near and `name`_far, positions along an axis, and their weights."""
        n = name
        least, most = ("none", f"{n}_last") if self.padding == "border" else (f"{n}_before", f"{n}_behind")
        return f"""
  {n}_number = Constant <value = int64 {{{number}}}> ()
  {n}_given = Gather <axis = 3> (b, {n}_number)
  {n}_g = Cast <to = {DOUBLE}> ({n}_given)
  {n}_size = Cast <to = {DOUBLE}> ({size})
  {n}_last = Sub ({n}_size, unit)
  {n}_behind = Add ({n}_size, unit)
  {n}_before = Neg (two)
  {n}_span = Mul ({n}_{"last" if self.corners else "size"}, point_five)
  {n}_moved = Add ({n}_g, unit)
  {n}_grown = Mul ({n}_moved, {n}_span)
  {n}_place = Sub ({n}_grown, {"none" if self.corners else "point_five"}){known(n + "_known", n + "_place")}
  {n}_least = Max ({n}_known, {least})
  {n}_kept = Min ({n}_least, {most})
  {_nearest(n) if self.mode == "nearest" else _between(n)}
  {n}_ratio = Div ({n}_steps, one)
  {n}_near_at = Floor ({n}_ratio)
  {n}_far_at = Add ({n}_near_at, unit)
  {n}_from = Mul ({n}_near_at, one)
  {n}_far_w = Sub ({n}_steps, {n}_from)
  {n}_near_w = Sub (one, {n}_far_w){_inside(n, "near")}{_inside(n, "far")}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, grid = inputs
        if len(x) != 4 or len(grid) != 4 or x[0] != grid[0] or grid[3] != 2:
            raise ShapeError(f"{self.op_type} cannot sample {x} at {grid}.")
        return (*x[:2], *grid[1:3])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        _, _, rows, columns = inputs[0]
        return (*out[:2], (0, rows), (0, columns)), (out[0], *out[2:], (0, 2))

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(4)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Four products an element."""
        return 4 * out.elements / rates.teng_elements


@dataclass(frozen=True, eq=False)
class Sample(Sampling):
    """y = clamp(y.zero + floor(acc M + 0.5)), acc: the sum over a - a.zero. M = sa / (sy 2^22)."""

    spellings: ClassVar = {"AxQuantizedGridSample": {}}
    one: ClassVar[int] = ONE

    x: Grid
    y: Grid
    mode: str
    padding: str
    corners: int
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        self.require_mode()
        require_multiplier(self.op_type, self.multiplier)

    @classmethod
    def of(cls, x: Grid, y: Grid, mode: str, padding: str, corners: int, lo: int, hi: int) -> Sample:
        multiplier = float(np.float64(x.scale) / (np.float64(y.scale) * np.float64(ONE * ONE)))
        return cls(x, y, mode, padding, corners, multiplier, lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.x, FP32

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        pixels = centred("centred", "a", "x", DOUBLE)
        return f"""{pixels}{self.sampled("centred")}{requantised("acc", "multiplier", self.y.type)}"""


@dataclass(frozen=True, eq=False)
class FloatSample(Sampling):
    """y = f32(acc 2^-48), all in float64."""

    spellings: ClassVar = {"AxFloatGridSample": {}}
    one: ClassVar[int] = FINE

    mode: str
    padding: str
    corners: int

    def __post_init__(self) -> None:
        self.require_mode()

    @property
    def reads(self) -> tuple[Edge, ...]:
        return FP32, FP32

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""
  pixels = Cast <to = {DOUBLE}> (a){self.sampled("pixels")}
  finest = Constant <value = double {{{1.0 / FINE**2!r}}}> ()
  y_d = Mul (acc, finest){real_out("y_d")}"""


def _nearest(n: str) -> str:
    return f"""{n}_whole = Round ({n}_kept)
  {n}_steps = Mul ({n}_whole, one)"""


def _between(n: str) -> str:
    return f"""{n}_many = Mul ({n}_kept, one)
  {n}_raised = Add ({n}_many, point_five)
  {n}_steps = Floor ({n}_raised)"""


def _inside(n: str, side: str) -> str:
    """Lines that define the position `n`_`side` inside the axis, and its weight: 0 where it had to be moved."""
    s = f"{n}_{side}"
    return f"""
  {s}_floor = Max ({s}_at, none)
  {s} = Min ({s}_floor, {n}_last)
  {s}_same = Equal ({s}, {s}_at)
  {s}_same_f = Cast <to = {DOUBLE}> ({s}_same)
  {s}_weight = Mul ({s}_w, {s}_same_f)"""


def _corner(row: str, column: str) -> str:
    """Lines that define one product of the four."""
    s = f"{row}_{column}"
    return f"""
  start_{s} = Mul (r_{row}, columns_f)
  index_{s}_f = Add (start_{s}, c_{column})
  index_{s}_i = Cast <to = {I64}> (index_{s}_f)
  index_{s}_line = Reshape (index_{s}_i, line_shape)
  index_{s}_shape = Concat <axis = 0> (batch, channels, single)
  index_{s} = Expand (index_{s}_line, index_{s}_shape)
  found_{s} = GatherElements <axis = 2> (flat, index_{s})
  weight_{s}_map = Mul (r_{row}_weight, c_{column}_weight)
  weight_{s} = Reshape (weight_{s}_map, line_shape)
  part_{s} = Mul (found_{s}, weight_{s})"""
