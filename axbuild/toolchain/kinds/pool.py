"""Windows over height and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import FLOAT32_EXACT, ReductionError, multipliers_of, require_multipliers
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
)
from axbuild.toolchain.kinds.codes import Edge, ElementType, Grid
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, centred, requantised, scalar
from axbuild.toolchain.kinds.window import Window


class Pooling(Kind):
    """What the poolings share: one window a channel."""

    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    @property
    def window(self) -> Window:
        raise NotImplementedError

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 4:
            raise ShapeError(f"{self.op_type} cannot read {x}; it needs rank 4.")
        return (x[0], x[1], *self.window.output((x[2], x[3])))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        ((_, _, height, width),) = inputs
        n, channels, rows, columns = out
        window = self.window
        return ((n, channels, window.reads(0, *rows, height), window.reads(1, *columns, width)),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return self.window.tile_axes

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        kh, kw = self.window.kernel
        return out.elements * kh * kw / rates.teng_elements


@dataclass(frozen=True, eq=False)
class MaxPool(Pooling):
    """Largest code of each window, clamped to lo..hi; padding never wins. The grid passes through.

    pads: top, left, bottom, right (with ceil_mode resolved into them), each smaller than the window's extent.
    """

    spellings: ClassVar = {"AxMaxPool": {}}

    type: ElementType
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        if not self.type.coded:
            raise ConstantError(f"{self.op_type} takes codes, not {self.type}.")
        self.window.check()
        self.window.check_pads()
        require_clamp(self.op_type, self.lo, self.hi, Grid(1.0, 0, self.type))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,)

    @property
    def writes(self) -> Edge:
        return self.type

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads, self.dilations)

    def text(self) -> str:
        # onnxruntime has no MaxPool for 16 bits; float32 holds the codes of all types.
        # Padding takes part as the lowest code, which never wins over a code: onnxruntime refuses pads as wide as the
        # kernel, which dilated windows and a resolved ceil_mode can have. Pad gets bounds for all four axes: with its
        # input `axes`, onnxruntime's transpose optimiser makes an invalid graph of a pool between two transposes.
        return f"""
  plane_bounds = Constant <value_ints: ints = @pads> ()
  begins, ends = Split <axis = 0, num_outputs = 2> (plane_bounds)
  whole = Constant <value = int64[2] {{0, 0}}> ()
  bounds = Concat <axis = 0> (whole, begins, whole, ends)
  lowest = Constant <value = float {{{float(self.type.lo)}}}> ()
  held = Cast <to = {FLOAT}> (x)
  padded = Pad (held, bounds, lowest)
  largest = MaxPool <kernel_shape: ints = @kernel, strides: ints = @strides, dilations: ints = @dilations> (padded)
  {scalar("lo_f", "lo", FLOAT)}{scalar("hi_f", "hi", FLOAT)}
  inside = Clip (largest, lo_f, hi_f)
  y = Cast <to = {self.type.onnx}> (inside)"""


@dataclass(frozen=True, eq=False)
class AveragePool(Pooling):
    """clamp(R(exact sum of centred codes)) with one multiplier a position.

    multiplier: float64 [ho, wo]: sx / (sy count), count as the window's position and count_include_pad have it.
    Padding counts as the zero of x.
    """

    spellings: ClassVar = {"AxQuantizedAveragePool": {}}

    x: Grid
    y: Grid
    multiplier: Annotated[Array, Constant(("float64",), 2)]
    lo: int
    hi: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        require_multipliers(self.multiplier, self.x, self.y)
        self.window.check()
        if self._area << 8 >= FLOAT32_EXACT:
            raise ReductionError(f"{self.op_type} over {self.kernel} sums too many codes to be exact in float32.")

    @classmethod
    def of(
        cls,
        x: Grid,
        y: Grid,
        counts: Array,
        lo: int,
        hi: int,
        kernel: tuple[int, int],
        strides: tuple[int, int],
        pads: tuple[int, int, int, int],
    ) -> AveragePool:
        """counts: [ho, wo], the elements by which the sum at each position is divided; a factor may have made them
        no whole numbers."""
        if counts.min(initial=1) <= 0:
            raise ConstantError(f"{cls.__name__} over {kernel} has a window that counts no element.")
        ratios = np.float64(x.scale) / (np.float64(y.scale) * counts.astype(np.float64))
        return cls(x, y, multipliers_of(ratios, x, y), lo, hi, kernel, strides, pads)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads)

    @property
    def _area(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def _digits(self) -> bool:
        """Whether sums of whole codes could pass 2^24, where float32 is no longer exact."""
        return self._area * self.x.reach >= FLOAT32_EXACT

    @property
    def variant(self) -> str:
        return "digits" if self._digits else ""

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        if shape[2:] != self.multiplier.shape:
            raise ShapeError(f"{self.op_type} has {self.multiplier.shape} multipliers for an output of {shape}.")
        return shape

    def text(self) -> str:
        # The sum is a float32 convolution with ones.
        return f"""{centred("centred", "x", "x", FLOAT)}
  images = Shape <start = 0, end = 2> (x)
  plane = Shape <start = 2> (x)
  single = Constant <value = int64[2] {{-1, 1}}> ()
  apart = Concat <axis = 0> (single, plane)
  channels = Reshape (centred, apart)
  area = Constant <value_ints: ints = @kernel> ()
  one_by_one = Constant <value = int64[2] {{1, 1}}> ()
  ones_shape = Concat <axis = 0> (one_by_one, area)
  ones = ConstantOfShape <value = float[1] {{1.0}}> (ones_shape)
  {_DIGIT_SUMS if self._digits else _summed("sum", "channels")}
  sum_plane = Shape <start = 2> (sum)
  together = Concat <axis = 0> (images, sum_plane)
  acc = Reshape (sum, together){requantised("acc", "multiplier", self.y.type)}"""


def _summed(name: str, values: str) -> str:
    """Lines that define the float64 `name`: sums of float32 `values` over the windows."""
    return f"""
  {name}_f = Conv <strides: ints = @strides, pads: ints = @pads> ({values}, ones)
  {name} = Cast <to = {DOUBLE}> ({name}_f)"""


# A centred code is 256 high + low, 0 <= low < 256, |high| <= 256.
_DIGIT_SUMS = f"""
  base_f = Constant <value = float {{256.0}}> ()
  quotient = Div (channels, base_f)
  high = Floor (quotient)
  high_part = Mul (high, base_f)
  low = Sub (channels, high_part)
  {_summed("high_sum", "high")}{_summed("low_sum", "low")}
  base = Constant <value = double {{256.0}}> ()
  high_sums = Mul (high_sum, base)
  sum = Add (high_sums, low_sum)"""
