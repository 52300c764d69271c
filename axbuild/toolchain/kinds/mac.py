"""Multiply-accumulate with constant weights: convolutions and fully connected layers; and of two activations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import (
    AccumulatorError,
    multiplier_of,
    require_accumulator,
    require_multipliers,
)
from axbuild.toolchain.kinds.base import (
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    aligned,
    ceil_div,
    memory_axis,
    require_clamp,
    require_grids,
)
from axbuild.toolchain.kinds.codes import (
    FP32,
    INT32,
    INT64,
    S8,
    S16,
    Edge,
    ElementType,
    Grid,
    accumulator_bound,
    type_of,
    wide,
)
from axbuild.toolchain.kinds.products import Cut, along_axis
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, I64, centred, float64, requantised, rounded
from axbuild.toolchain.kinds.window import Window

WEIGHT_DTYPES = (S8.dtype, S16.dtype)
BIAS_DTYPES = (INT32.dtype, INT64.dtype, FP32.dtype)


def bias_type(x: ElementType, w: ElementType, y: ElementType) -> ElementType:
    """Of the bias beside operands and a result of these types."""
    return FP32 if y == FP32 else INT64 if wide(x, w) else INT32


def _require_output(what: str, y: Edge, lo: int, hi: int) -> None:
    if isinstance(y, Grid):
        require_grids(what, y)
        require_clamp(what, lo, hi, y)
    elif y != FP32 or (lo, hi) != (0, 0):
        raise ConstantError(
            f"The output of {what} is {y} clamped to {lo}..{hi}; it must have a grid, or be FP32 as is."
        )


def _finished(y: Edge, multiplier: str, bias: str = "", real_bias: bool = False) -> str:
    """Lines from the float64 `sum` to y: multiplied and, where there is one, with the float64 `bias`.

    Codes are requantised after the bias, which is in their accumulator's units; a real one is added to the product in
    steps of y. To FP32 the bias is added last, in float64 and rounded, which equals one float32 addition and is no node
    that onnxruntime would fuse; `sum` passes through int64 so that an accumulator of -0.0 does not reach the result.
    """
    if isinstance(y, Grid) and real_bias:
        return f"""{float64("y_step", "y_scale")}
  steps = Div ({bias}, y_step)
  scaled = Mul (sum, {multiplier})
  biased = Add (scaled, steps){rounded("biased", y.type)}"""
    if isinstance(y, Grid):
        biased = f"\n  acc = Add (sum, {bias})" if bias else ""
        return biased + requantised("acc" if bias else "sum", multiplier, y.type)
    real = f"""
  whole = Cast <to = {I64}> (sum)
  acc = Cast <to = {DOUBLE}> (whole)
  scaled = Mul (acc, {multiplier})"""
    if not bias:
        return f"{real}\n  y = Cast <to = {FLOAT}> (scaled)"
    return f"""{real}
  single = Cast <to = {FLOAT}> (scaled)
  again = Cast <to = {DOUBLE}> (single)
  biased = Add (again, {bias})
  y = Cast <to = {FLOAT}> (biased)"""


def _mac_cycles(depth: int, channels: int, pixels: int, rates: Rates) -> float:
    passes: int = ceil_div(depth, rates.mac_ci) * ceil_div(channels, rates.mac_co) * ceil_div(pixels, rates.mac_px)
    return passes / (rates.convs * rates.efficiency)


@dataclass(frozen=True, eq=False)
class _Weighted(Kind):
    """One activation times constant weights: y = clamp(R(sum w (x - zero) + bias)), or FP32.

    weight: codes of type `w`, output channels first; multiplier: float64 [co]; lo, hi: clamp of the output's codes.
    bias [co]: int32, with a 16-bit operand int64, in units of the accumulator; or float32, in reals: then
    y = clamp(zero + floor(f64(acc) M + f64(bias) / f64(sy) + 0.5)). Where y is FP32 the multiplier is f64(sx) f64(sw),
    the bias is float32 and added after it, and lo = hi = 0. w_zero [co]: what is taken from each channel's codes, which
    imported weights of up to 8 bits may have; () where that is nothing.
    """

    engine: ClassVar[str] = "conv"

    x: Grid
    w: ElementType
    y: Edge
    weight: Annotated[Array, Constant(WEIGHT_DTYPES, 2)]
    bias: Annotated[Array, Constant(BIAS_DTYPES, 1)]
    multiplier: Annotated[Array, Constant(("float64",), 1)]
    lo: int
    hi: int
    w_zero: tuple[int, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        what, channels = self.what, (self.weight.shape[0],)
        if min(self.weight.shape) < 1:
            raise ConstantError(f"The weight of {what} is empty.")
        require_grids(what, self.x)
        _require_output(what, self.y, self.lo, self.hi)
        expected = FP32 if self.real_bias else bias_type(self.x.type, self.w, type_of(self.y))
        for name, array, dtype, shape in (
            ("weight", self.weight, self.w.dtype, self.weight.shape),
            ("bias", self.bias, expected.dtype, channels),
            ("multiplier", self.multiplier, "float64", channels),
        ):
            if array.dtype.name != dtype or array.shape != shape:
                raise ConstantError(f"The {name} of {what} is {array.dtype} {array.shape}, not {dtype} {shape}.")
        self._require_codes()
        require_multipliers(self.multiplier, self.x, self.w, self.y)
        if self.real_bias and not np.isfinite(self.bias).all():
            raise ConstantError(f"A bias of {what} is not finite.")
        summed = np.zeros(channels, np.int64) if self.real_bias else self.bias
        require_accumulator(self.factors, summed, self.x, self.w, what)

    def _require_codes(self) -> None:
        w, zero, channels = self.w, self.w_zero, self.weight.shape[0]
        if w.narrow and not w.lo <= self.weight.min() <= self.weight.max() <= w.hi:
            raise ConstantError(f"The weight of {self.what} is beyond {w} codes.")
        if zero and (w.wide or len(zero) != channels or not w.lo <= min(zero) <= max(zero) <= w.hi):
            raise ConstantError(f"{self.what} in {w} has {channels} channels and no such zeros: {zero!s:.60}")

    @property
    def what(self) -> str:
        return f"{self.op_type} with weight {self.weight.shape}"

    @cached_property
    def factors(self) -> Array:
        """The weight less its zeros: what activations are multiplied with."""
        if not self.w_zero:
            return self.weight
        zero = np.array(self.w_zero, np.int16).reshape(-1, *[1] * (self.weight.ndim - 1))
        less: Array = self.weight.astype(np.int16) - zero
        return less

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def real_bias(self) -> bool:
        """Whether the bias is float32."""
        return self.bias.dtype == FP32.dtype

    @property
    def _of_constants(self) -> list[str]:
        """What the text depends on: digits of 16 bits, zeros, a real bias."""
        weight = [self.w.name.lower()] if self.w.wide else ["zeros"] if self.w_zero else []
        return [*weight, *(["bias"] if self.real_bias and isinstance(self.y, Grid) else [])]

    def _weight_as(self, name: str, to: int) -> str:
        """Lines that define `name`, the factors in element type `to`."""
        if not self.w_zero:
            return f"\n  {name} = Cast <to = {to}> (weight)"
        axes = ", ".join(str(axis) for axis in range(1, self.weight.ndim))
        return f"""
  {name}_codes = Cast <to = {to}> (weight)
  {name}_zeros = Constant <value_ints: ints = @w_zero> ()
  {name}_less = Cast <to = {to}> ({name}_zeros)
  {name}_axes = Constant <value = int64[{self.weight.ndim - 1}] {{{axes}}}> ()
  {name}_zero = Unsqueeze ({name}_less, {name}_axes)
  {name} = Sub ({name}_codes, {name}_zero)"""

    @property
    def weight_type(self) -> ElementType:
        return self.w

    def slowdown(self, rates: Rates) -> float:
        """A weight of 16 bits beside data of 8 takes half of the products of 8 bits that 16 by 16 takes."""
        return rates.conv_wide / 2 if self.w.wide and not self.x.type.wide else super().slowdown(rates)

    @cached_property
    def cut(self) -> Cut:
        """How the body sums."""
        return Cut.of(self.factors, self.x, self.w, self.what)


@dataclass(frozen=True, eq=False)
class Conv(_Weighted):
    """2-D, NCHW; weight [co, ci / group, kh, kw]; pads: top, left, bottom, right, filled with x's zero."""

    spellings: ClassVar = {"AxQuantizedConv": {}}
    job: ClassVar[str] = "conv"

    weight: Annotated[Array, Constant(WEIGHT_DTYPES, 4)]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    group: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.window.check()
        if self.group < 1 or self.weight.shape[0] % self.group:
            raise ConstantError(f"{self.what} cannot have {self.group} groups.")

    @cached_property
    def window(self) -> Window:
        kh, kw = self.weight.shape[2:]
        return Window(self.op_type, (int(kh), int(kw)), self.strides, self.pads, self.dilations)

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel of several."""
        return self.group > 1 and self.weight.shape[1] == 1

    @property
    def variant(self) -> str:
        grouped = ["groups"] if self.group > 1 and self.cut.ranges > 1 else []
        return "_".join([*self._of_constants, *grouped, *self.cut.names])

    def text(self) -> str:
        products = self.cut.text("centred", "weight_f", _CONV, _within_groups if self.group > 1 else along_axis(1))
        return f"""{centred("centred", "x", "x", FLOAT)}{self._weight_as("weight_f", FLOAT)}{products}
  plane_axes = Constant <value = int64[2] {{1, 2}}> ()
  multiplier_c = Unsqueeze (multiplier, plane_axes)
  bias_d = Cast <to = {DOUBLE}> (bias)
  bias_c = Unsqueeze (bias_d, plane_axes){_finished(self.y, "multiplier_c", "bias_c", self.real_bias)}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 4 or x[1] != self.weight.shape[1] * self.group:
            raise ShapeError(f"{self.what} and {self.group} groups cannot read {x}.")
        return (x[0], self.weight.shape[0], *self.window.output((x[2], x[3])))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        ((_, _, height, width),) = inputs
        n, (first, stop), rows, columns = out
        per_out, per_in = self.weight.shape[0] // self.group, self.weight.shape[1]
        channels = (first // per_out * per_in, ceil_div(stop, per_out) * per_in)
        window = self.window
        return ((n, channels, window.reads(0, *rows, height), window.reads(1, *columns, width)),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return self.window.tile_axes

    def grain(self, axis: int, block: int, *inputs: Shape) -> int:
        """Whole blocks of packed channels, and whole groups where blocks would hold channels of several."""
        if axis != memory_axis(1, 4):
            return 1
        per_group = self.weight.shape[0] // self.group
        apart = self.group == 1 or per_group == 1 or per_group % block == 0
        return block if apart else math.lcm(block, per_group)

    def macs(self, out: Box, *inputs: Shape) -> int:
        return out.elements * int(np.prod(self.weight.shape[1:]))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        n, h, w, co = out.shape
        kh, kw = self.window.kernel
        if self.depthwise:
            lanes = ceil_div(co, rates.dw_channels) * ceil_div(h * w, rates.dw_pixels)
            return n * kh * kw * lanes / rates.convs
        return n * kh * kw * _mac_cycles(int(self.weight.shape[1]), co, h * w, rates)


_CONV = """
  {f} = Conv <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations, group: int = @group>
    ({x}, {w})"""


def _within_groups(whole: str, parts: list[str]) -> str:
    """Ranges that lie inside each group: [n, g k, h, w] -> [n, g, k, h, w] -> k cut -> [n, g k', h, w]."""
    grouped = [f"{part}_grouped" for part in parts]
    cut = f"""
  {whole}_same = Constant <value = int64[1] {{0}}> ()
  {whole}_rest = Constant <value = int64[1] {{-1}}> ()
  {whole}_first = Constant <value = int64[1] {{0}}> ()
  {whole}_count = Constant <value_int: int = @group> ()
  {whole}_groups = Unsqueeze ({whole}_count, {whole}_first)
  {whole}_plane = Shape <start = 2> ({whole})
  {whole}_by_group = Concat <axis = 0> ({whole}_same, {whole}_groups, {whole}_rest, {whole}_plane)
  {whole}_by_channel = Concat <axis = 0> ({whole}_same, {whole}_rest, {whole}_plane)
  {whole}_grouped = Reshape ({whole}, {whole}_by_group)
  {", ".join(grouped)} = Split <axis = 2, num_outputs = {len(parts)}> ({whole}_grouped)"""
    joined = [f"\n  {part} = Reshape ({group}, {whole}_by_channel)" for part, group in zip(parts, grouped, strict=True)]
    return cut + "".join(joined)


@dataclass(frozen=True, eq=False)
class FullyConnected(_Weighted):
    """x @ w^T along the last axis of x, of rank 1 and more; weight [co, k]."""

    spellings: ClassVar = {"AxFullyConnected": {}}
    job: ClassVar[str] = "fc"

    @property
    def variant(self) -> str:
        return "_".join([*self._of_constants, *([] if wide(self.x, self.w) else self.cut.names)])

    def text(self) -> str:
        if wide(self.x, self.w):
            products = centred("centred", "x", "x", DOUBLE) + self._weight_as("weight_d", DOUBLE) + _REAL_PRODUCT
        else:
            lines = self.cut.text("centred", "weight_f", _FLOAT_PRODUCT, along_axis(-1))
            products = centred("centred", "x", "x", FLOAT) + self._weight_as("weight_f", FLOAT) + lines
        return f"""{products}
  bias_d = Cast <to = {DOUBLE}> (bias){_finished(self.y, "multiplier", "bias_d", self.real_bias)}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not x or x[-1] != self.weight.shape[1]:
            raise ShapeError(f"{self.what} cannot read {x}.")
        return (*x[:-1], self.weight.shape[0])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[:-1], (0, x[-1])),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        return tuple(memory_axis(axis, rank) for axis in (rank - 1, *range(rank - 1)))

    def grain(self, axis: int, block: int, *inputs: Shape) -> int:
        """Whole blocks of packed channels."""
        rank = len(inputs[0])
        return block if axis == memory_axis(rank - 1, rank) else 1

    def macs(self, out: Box, *inputs: Shape) -> int:
        return out.elements * int(self.weight.shape[1])

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        channels = out.shape[memory_axis(len(out.shape) - 1, len(out.shape))]
        return _mac_cycles(self.weight.shape[1], channels, out.elements // max(channels, 1), rates)


_FLOAT_PRODUCT = """
  {w}_t = Transpose <perm = [1, 0]> ({w})
  {f} = MatMul ({x}, {w}_t)"""

# Of integers whose sums stay below 2^52, which float64 holds in any order.
_REAL_PRODUCT = """
  weight_t = Transpose <perm = [1, 0]> (weight_d)
  sum = MatMul (centred, weight_t)"""


@dataclass(frozen=True, eq=False)
class MatMul(Kind):
    """y = clamp(R(sum (a - zero)(b - zero))) of two activations of rank 2 and more, numpy's broadcasting; or FP32.

    multiplier: one float64; f64(sa) f64(sb) where y is FP32, and then lo = hi = 0. The sums run in float64, exact
    whatever the depth that the accumulator's bound allows.
    """

    spellings: ClassVar = {"AxQuantizedMatMul": {}}
    job: ClassVar[str] = "matmul"
    engine: ClassVar[str] = "conv"

    a: Grid
    b: Grid
    y: Edge
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.a, self.b)
        _require_output(self.op_type, self.y, self.lo, self.hi)
        require_multipliers(self.multiplier, self.a, self.b, self.y)

    @classmethod
    def of(cls, a: Grid, b: Grid, y: Edge, lo: int, hi: int, factor: float = 1.0) -> MatMul:
        """With the multiplier f64(sa) f64(sb) factor / f64(sy); factor: a number the product is multiplied by."""
        scale = np.float64(a.scale) * np.float64(b.scale) * np.float64(factor)
        ratio = scale / np.float64(y.scale if isinstance(y, Grid) else 1.0)
        return cls(a, b, y, multiplier_of(float(ratio), a, b, y), lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.a, self.b)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{centred("left", "a", "a", DOUBLE)}{centred("right", "b", "b", DOUBLE)}
  sum = MatMul (left, right){_finished(self.y, "multiplier")}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        a, b = inputs
        if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
            raise ShapeError(f"{self.op_type} cannot multiply {a} by {b}.")
        limit = accumulator_bound(self.a, self.b)
        if a[-1] * self.a.reach * self.b.reach >= limit:
            raise AccumulatorError(
                f"{self.op_type} sums {a[-1]} products; its accumulator must stay below 2^{limit.bit_length() - 1}."
            )
        try:
            batch = np.broadcast_shapes(a[:-2], b[:-2])
        except ValueError as error:
            raise ShapeError(f"{self.op_type} cannot multiply {a} by {b}.") from error
        return (*batch, a[-2], b[-1])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        a, b = inputs
        left = (*aligned(out[:-2], a[:-2]), out[-2], (0, a[-1]))
        right = (*aligned(out[:-2], b[:-2]), (0, b[-2]), out[-1])
        return left, right

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = max(len(shape) for shape in inputs)
        return tuple(memory_axis(axis, rank) for axis in (rank - 2, rank - 1, *range(rank - 2)))

    def macs(self, out: Box, *inputs: Shape) -> int:
        return out.elements * inputs[0][-1]

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        rank = len(out.shape)
        rows, columns = (out.shape[memory_axis(axis, rank)] for axis in (rank - 2, rank - 1))
        matrices = out.elements // max(rows * columns, 1)
        return matrices * _mac_cycles(inputs[0][-1], columns, rows, rates)
