"""Multiply-accumulate with constant weights: convolutions and fully connected layers; and of two activations.

The products are summed by onnxruntime's float32 kernels, which is exact while the partial sums stay below 2^24:
`float32_chunks` proves it from the weights, else cuts the reduction into ranges that pass, and the body sums
each range by itself and the ranges in float64. Where a kernel is so large that a single channel does not pass, the
weights are cut as well, into 16 high + low. ConvInteger and MatMulInteger are no alternative: they saturate
on processors without VNNI.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import (
    ACCUMULATOR_LIMIT,
    FLOAT32_EXACT,
    U8,
    AccumulatorError,
    check_accumulator,
    check_multipliers,
    float32_chunks,
)
from axbuild.toolchain.kinds.base import (
    Box,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    Tensor,
    aligned,
    ceil_div,
    memory_axis,
    parse_body,
)
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, centred, check_clamp, check_codes, requantised
from axbuild.toolchain.kinds.window import Window

if TYPE_CHECKING:
    import onnx


def _check_weights(kind: Conv | FullyConnected, what: str) -> None:
    channels = kind.weight.shape[0]
    if min(kind.weight.shape) < 1:
        raise ConstantError(f"The weight of {what} is empty: {kind.weight.shape}.")
    for name, array in (("bias", kind.bias), ("multiplier", kind.multiplier)):
        if array.shape != (channels,):
            raise ConstantError(f"The {name} of {what} has shape {array.shape}; its weight has {channels} channels.")
    check_codes(what, x_zero=kind.x_zero, y_zero=kind.y_zero)
    check_clamp(what, kind.lo, kind.hi)
    check_multipliers(kind.multiplier)
    check_accumulator(kind.weight, kind.bias, kind.x_zero, what)


def _mac_cycles(depth: int, channels: int, pixels: int, rates: Rates) -> float:
    passes: int = ceil_div(depth, rates.mac_ci) * ceil_div(channels, rates.mac_co) * ceil_div(pixels, rates.mac_px)
    return passes / (rates.convs * rates.efficiency)


@dataclass(frozen=True, eq=False)
class Conv(Kind):
    """y = clamp(R(sum w (x - x_zero) + bias)), 2-D, NCHW.

    weight: int8 [co, ci / group, kh, kw]; bias: int32 [co]; multiplier: float64 [co], each m 2^-t exactly.
    pads: top, left, bottom, right. The padding value is x_zero. lo, hi: clamp of the output codes.
    """

    op_type: ClassVar[str] = "AxQuantizedConv"
    job: ClassVar[str] = "conv"
    engine: ClassVar[str] = "conv"

    weight: Annotated[Array, Tensor("int8", 4)]
    bias: Annotated[Array, Tensor("int32", 1)]
    multiplier: Annotated[Array, Tensor("float64", 1)]
    x_zero: int
    y_zero: int
    lo: int
    hi: int
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    group: int

    def __post_init__(self) -> None:
        what = f"{self.op_type} with weight {self.weight.shape}"
        self.window.check()
        if self.group < 1 or self.weight.shape[0] % self.group:
            raise ConstantError(f"{what} cannot have {self.group} groups.")
        _check_weights(self, what)

    @property
    def window(self) -> Window:
        kh, kw = self.weight.shape[2:]
        return Window(self.op_type, (int(kh), int(kw)), self.strides, self.pads, self.dilations)

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel of several."""
        return self.group > 1 and self.weight.shape[1] == 1

    @cached_property
    def halved(self) -> bool:
        """Whether one input channel alone passes float32's exact integers, so that the weights too must be cut."""
        channels = np.abs(self.weight.astype(np.int64)).sum(axis=(2, 3))
        return bool(channels.max() * max(self.x_zero, U8 - self.x_zero) >= FLOAT32_EXACT)

    @cached_property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """Ranges of the input channels of a group in which float32 sums are exact; one range in the common case."""
        parts = np.maximum(np.abs(self.weight >> 4), self.weight & 15) if self.halved else self.weight
        return float32_chunks(parts, self.x_zero, f"{self.op_type} with weight {self.weight.shape}")

    def body(self) -> onnx.FunctionProto:
        count = len(self.chunks)
        if count == 1 and not self.halved:
            return parse_body(_conv_text(_ONE_CONV), "")
        cut = _CUT_GROUPS if self.group > 1 else _CUT_CHANNELS
        overload = f"{'groups_' if self.group > 1 else ''}{'halves_' if self.halved else ''}split{count}"
        return parse_body(_conv_text(_split_conv(count, cut, _HALF_CONVS if self.halved else _PART_CONV)), overload)

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 4 or x[1] != self.weight.shape[1] * self.group:
            raise ShapeError(f"{self.op_type} with weight {self.weight.shape} and {self.group} groups cannot read {x}.")
        return (x[0], self.weight.shape[0], *self.window.output((x[2], x[3])))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        ((_, _, height, width),) = inputs
        n, (first, stop), rows, columns = out
        per_out, per_in = self.weight.shape[0] // self.group, self.weight.shape[1]
        channels = (first // per_out * per_in, ceil_div(stop, per_out) * per_in)
        window = self.window
        return ((n, channels, window.reads(0, *rows, height), window.reads(1, *columns, width)),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return 1, 3, 0

    def macs(self, out: Box, *inputs: Shape) -> int:
        return out.elements * int(np.prod(self.weight.shape[1:]))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        n, h, w, co = out.shape
        depth = int(self.weight.shape[1])
        kh, kw = self.window.kernel
        if self.depthwise:
            lanes = ceil_div(co, rates.dw_channels) * ceil_div(h * w, rates.dw_pixels)
            return n * kh * kw * lanes / rates.convs
        return n * kh * kw * _mac_cycles(depth, co, h * w, rates)


_CONV = """Conv <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations, group: int = @group>"""

_ONE_CONV = f"""
  weight_f = Cast <to = {FLOAT}> (weight)
  sum_f = {_CONV} (centred, weight_f)
  sum = Cast <to = {DOUBLE}> (sum_f)"""

_CUT_CHANNELS = """
  {names} = Split <axis = 1, num_outputs = {count}> (centred)"""

# With groups the ranges lie inside each group: [n, g k, h, w] -> [n, g, k, h, w] -> cut k -> [n, g k', h, w].
_CUT_GROUPS = """
  same = Constant <value = int64[1] {{0}}> ()
  rest = Constant <value = int64[1] {{-1}}> ()
  groups = Constant <value_int: int = @group> ()
  first = Constant <value = int64[1] {{0}}> ()
  groups_1 = Unsqueeze (groups, first)
  plane = Shape <start = 2> (centred)
  by_group = Concat <axis = 0> (same, groups_1, rest, plane)
  by_channel = Concat <axis = 0> (same, rest, plane)
  grouped = Reshape (centred, by_group)
  {parts} = Split <axis = 2, num_outputs = {count}> (grouped)"""


_PART_CONV = f"""
  wf{{i}} = Cast <to = {FLOAT}> (w{{i}})
  f{{i}} = {_CONV} (x{{i}}, wf{{i}})
  d{{i}} = Cast <to = {DOUBLE}> (f{{i}})"""

# w = 16 high + low with high -8..7 and low 0..15: products an eighth as large, summed apart.
_HALF_CONVS = f"""
  wf{{i}} = Cast <to = {FLOAT}> (w{{i}})
  sixteen{{i}} = Constant <value = float {{{{16.0}}}}> ()
  ratio{{i}} = Div (wf{{i}}, sixteen{{i}})
  high{{i}} = Floor (ratio{{i}})
  multiple{{i}} = Mul (high{{i}}, sixteen{{i}})
  low{{i}} = Sub (wf{{i}}, multiple{{i}})
  fh{{i}} = {_CONV} (x{{i}}, high{{i}})
  fl{{i}} = {_CONV} (x{{i}}, low{{i}})
  dh{{i}} = Cast <to = {DOUBLE}> (fh{{i}})
  dl{{i}} = Cast <to = {DOUBLE}> (fl{{i}})
  weight{{i}} = Constant <value = double {{{{16.0}}}}> ()
  dw{{i}} = Mul (dh{{i}}, weight{{i}})
  d{{i}} = Add (dw{{i}}, dl{{i}})"""


def _split_conv(count: int, cut: str, part: str) -> str:
    def joined(stem: str) -> str:
        return ", ".join(f"{stem}{i}" for i in range(count))

    lines = [cut.format(names=joined("x"), parts=joined("p"), count=count)]
    if cut is _CUT_GROUPS:
        lines += [f"\n  x{i} = Reshape (p{i}, by_channel)" for i in range(count)]
    lines.append(f"\n  {joined('w')} = Split <axis = 1, num_outputs = {count}> (weight)")
    lines += [part.format(i=i) for i in range(count)]
    return "".join(lines) + f"\n  sum = Sum ({joined('d')})"


def _conv_text(products: str) -> str:
    return f"""AxQuantizedConv <x_zero, y_zero, lo, hi, strides, pads, dilations, group> (x, weight, bias, multiplier)
  => (y) {{{centred("centred", "x", "x_zero", FLOAT)}{products}
  bias_f = Cast <to = {DOUBLE}> (bias)
  plane_axes = Constant <value = int64[2] {{1, 2}}> ()
  bias_c = Unsqueeze (bias_f, plane_axes)
  multiplier_c = Unsqueeze (multiplier, plane_axes)
  acc = Add (sum, bias_c){requantised("acc", "multiplier_c")}
}}"""


@dataclass(frozen=True, eq=False)
class FullyConnected(Kind):
    """y = clamp(R(x @ w^T + bias)) along the last axis.

    weight: int8 [co, k]; bias: int32 [co]; multiplier: float64 [co]. x is centred by x_zero; rank 1 and more.
    """

    op_type: ClassVar[str] = "AxFullyConnected"
    job: ClassVar[str] = "fc"
    engine: ClassVar[str] = "conv"

    weight: Annotated[Array, Tensor("int8", 2)]
    bias: Annotated[Array, Tensor("int32", 1)]
    multiplier: Annotated[Array, Tensor("float64", 1)]
    x_zero: int
    y_zero: int
    lo: int
    hi: int

    def __post_init__(self) -> None:
        _check_weights(self, f"{self.op_type} with weight {self.weight.shape}")

    @cached_property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """Ranges of the last axis of x in which float32 sums are exact; one range in the common case."""
        return float32_chunks(self.weight, self.x_zero, f"{self.op_type} with weight {self.weight.shape}")

    def body(self) -> onnx.FunctionProto:
        count = len(self.chunks)
        return parse_body(_fully_connected_text(count), f"split{count}" if count > 1 else "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not x or x[-1] != self.weight.shape[1]:
            raise ShapeError(f"{self.op_type} with weight {self.weight.shape} cannot read {x}.")
        return (*x[:-1], self.weight.shape[0])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[:-1], (0, x[-1])),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        return tuple(memory_axis(axis, rank) for axis in (rank - 1, *range(rank - 1)))

    def macs(self, out: Box, *inputs: Shape) -> int:
        return out.elements * int(self.weight.shape[1])

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        channels = out.shape[memory_axis(len(out.shape) - 1, len(out.shape))]
        return _mac_cycles(self.weight.shape[1], channels, out.elements // max(channels, 1), rates)


def _fully_connected_text(count: int) -> str:
    names = [", ".join(f"{stem}{i}" for i in range(count)) for stem in ("x", "w", "d")]
    if count == 1:
        cut = "\n  x0 = Identity (centred)\n  w0 = Identity (weight)"
    else:
        cut = f"""
  {names[0]} = Split <axis = -1, num_outputs = {count}> (centred)
  {names[1]} = Split <axis = 1, num_outputs = {count}> (weight)"""
    products = "".join(
        f"""
  wf{i} = Cast <to = {FLOAT}> (w{i})
  wt{i} = Transpose <perm = [1, 0]> (wf{i})
  f{i} = MatMul (x{i}, wt{i})
  d{i} = Cast <to = {DOUBLE}> (f{i})"""
        for i in range(count)
    )
    return f"""AxFullyConnected <x_zero, y_zero, lo, hi> (x, weight, bias, multiplier) => (y)
  {{{centred("centred", "x", "x_zero", FLOAT)}{cut}{products}
  sum = Sum ({names[2]})
  bias_f = Cast <to = {DOUBLE}> (bias)
  acc = Add (sum, bias_f){requantised("acc", "multiplier")}
}}"""


@dataclass(frozen=True, eq=False)
class MatMul(Kind):
    """y = clamp(R(sum (a - a_zero)(b - b_zero))) of two activations of rank 2 and more, numpy's broadcasting.

    multiplier: one float64. The sums run in float64, exact whatever the depth.
    """

    op_type: ClassVar[str] = "AxQuantizedMatMul"
    job: ClassVar[str] = "matmul"
    engine: ClassVar[str] = "conv"
    activations: ClassVar[int] = 2

    multiplier: Annotated[float, Tensor("float64", 0)]
    a_zero: int
    b_zero: int
    y_zero: int
    lo: int
    hi: int

    def __post_init__(self) -> None:
        check_codes(self.op_type, a_zero=self.a_zero, b_zero=self.b_zero, y_zero=self.y_zero)
        check_clamp(self.op_type, self.lo, self.hi)
        check_multipliers(self.multiplier)

    def body(self) -> onnx.FunctionProto:
        return parse_body(_MATMUL, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        a, b = inputs
        if min(len(a), len(b)) < 2 or a[-1] != b[-2]:
            raise ShapeError(f"{self.op_type} cannot multiply {a} by {b}.")
        largest = max(self.a_zero, U8 - self.a_zero) * max(self.b_zero, U8 - self.b_zero)
        if a[-1] * largest >= ACCUMULATOR_LIMIT:
            raise AccumulatorError(f"{self.op_type} sums {a[-1]} products; its accumulator must stay below 2^31.")
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


_MATMUL = f"""AxQuantizedMatMul <a_zero, b_zero, y_zero, lo, hi> (a, b, multiplier) => (y) {{
{centred("left", "a", "a_zero", DOUBLE)}{centred("right", "b", "b_zero", DOUBLE)}
  acc = MatMul (left, right){requantised("acc", "multiplier")}
}}"""
