"""Windows over height and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import FLOAT32_EXACT, U8, ReductionError, check_multipliers
from axbuild.toolchain.kinds.base import Box, Kind, Ranges, Rates, ShapeError, Tensor, parse_body
from axbuild.toolchain.kinds.text import (
    DOUBLE,
    FLOAT,
    UINT8,
    centred,
    check_clamp,
    check_codes,
    requantised,
    scalar,
)
from axbuild.toolchain.kinds.window import Window

if TYPE_CHECKING:
    import onnx


class _Pool(Kind):
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
        return 1, 3, 0

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        kh, kw = self.window.kernel
        return out.elements * kh * kw / rates.teng_elements


@dataclass(frozen=True, eq=False)
class MaxPool(_Pool):
    """Largest code of each window, clamped to lo..hi; padding never wins.

    pads: top, left, bottom, right (with ceil_mode resolved into them), each smaller than the window's extent.
    """

    op_type: ClassVar[str] = "AxMaxPool"

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        self.window.check()
        self.window.check_pads()
        check_clamp(self.op_type, self.lo, self.hi)

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads, self.dilations)

    def body(self) -> onnx.FunctionProto:
        return parse_body(_MAX_POOL, "")


# Padding takes part as code 0, which never wins over a code: onnxruntime refuses pads as wide as the kernel, which
# dilated windows and a resolved ceil_mode can have. Pad gets bounds for all four axes: with its input `axes`,
# onnxruntime's transpose optimiser makes an invalid graph of a pool between two transposes.
_MAX_POOL = f"""AxMaxPool <kernel, strides, pads, dilations, lo, hi> (x) => (y) {{
  plane_bounds = Constant <value_ints: ints = @pads> ()
  begins, ends = Split <axis = 0, num_outputs = 2> (plane_bounds)
  whole = Constant <value = int64[2] {{0, 0}}> ()
  bounds = Concat <axis = 0> (whole, begins, whole, ends)
  nothing = Constant <value = uint8 {{0}}> ()
  padded = Pad (x, bounds, nothing)
  largest = MaxPool <kernel_shape: ints = @kernel, strides: ints = @strides, dilations: ints = @dilations> (padded)
  {scalar("lo_u", "lo", UINT8)}{scalar("hi_u", "hi", UINT8)}
  y = Clip (largest, lo_u, hi_u)
}}"""


@dataclass(frozen=True, eq=False)
class AveragePool(_Pool):
    """clamp(R(exact sum of centred codes)) with one multiplier a position.

    multiplier: float64 [ho, wo]: sx / (sy count), count as the window's position and count_include_pad have it.
    Padding counts as x_zero. The sum is a float32 convolution with ones, exact while kernel area x 255 < 2^24.
    """

    op_type: ClassVar[str] = "AxQuantizedAveragePool"

    multiplier: Annotated[Array, Tensor("float64", 2)]
    x_zero: int
    y_zero: int
    lo: int
    hi: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        self.window.check()
        check_codes(self.op_type, x_zero=self.x_zero, y_zero=self.y_zero)
        check_clamp(self.op_type, self.lo, self.hi)
        check_multipliers(self.multiplier)
        if self.kernel[0] * self.kernel[1] * U8 >= FLOAT32_EXACT:
            raise ReductionError(f"{self.op_type} over {self.kernel} sums too many codes to be exact in float32.")

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads)

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        if shape[2:] != self.multiplier.shape:
            raise ShapeError(f"{self.op_type} has {self.multiplier.shape} multipliers for an output of {shape}.")
        return shape

    def body(self) -> onnx.FunctionProto:
        return parse_body(_AVERAGE_POOL, "")


_AVERAGE_POOL = f"""AxQuantizedAveragePool <x_zero, y_zero, lo, hi, kernel, strides, pads> (x, multiplier) => (y)
  {{{centred("centred", "x", "x_zero", FLOAT)}
  images = Shape <start = 0, end = 2> (x)
  plane = Shape <start = 2> (x)
  single = Constant <value = int64[2] {{-1, 1}}> ()
  apart = Concat <axis = 0> (single, plane)
  channels = Reshape (centred, apart)
  area = Constant <value_ints: ints = @kernel> ()
  one_by_one = Constant <value = int64[2] {{1, 1}}> ()
  ones_shape = Concat <axis = 0> (one_by_one, area)
  ones = ConstantOfShape <value = float[1] {{1.0}}> (ones_shape)
  sum_f = Conv <strides: ints = @strides, pads: ints = @pads> (channels, ones)
  sum = Cast <to = {DOUBLE}> (sum_f)
  sum_plane = Shape <start = 2> (sum)
  together = Concat <axis = 0> (images, sum_plane)
  acc = Reshape (sum, together){requantised("acc", "multiplier")}
}}"""
