"""Look-ups: 256 codes in, 256 codes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import ConstantError, Ranges, ShapeError, Tensor, memory_axis, parse_body
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import INT32, INT64, UINT8, along

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class ChannelTable(Elementwise):
    """y = table[channel, x]: dequantise, normalise and quantise of a U8 source at once.

    table: uint8 [c, 256]; axis: ONNX axis of the channels, not negative.
    """

    op_type: ClassVar[str] = "AxQuantizedNormalize"
    job: ClassVar[str] = "lut"

    table: Annotated[Array, Tensor("uint8", 2)]
    axis: int

    def __post_init__(self) -> None:
        if self.table.shape[1] != 256 or self.table.shape[0] < 1 or self.axis < 0:
            raise ConstantError(f"{self.op_type} on axis {self.axis} needs tables of 256, not {self.table.shape}.")

    def body(self) -> onnx.FunctionProto:
        return parse_body(_CHANNEL_TABLE, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or x[self.axis] != len(self.table):
            raise ShapeError(f"{self.op_type} of {len(self.table)} channels on axis {self.axis} cannot read {x}.")
        return x


_CHANNEL_TABLE = f"""AxQuantizedNormalize <axis> (x, table) => (y) {{
  none = Constant <value = int64 {{0}}> ()
  step = Constant <value = int64 {{1}}> ()
  size = Constant <value = int64 {{256}}> ()
  flat_shape = Constant <value = int64[1] {{-1}}> ()
  flat = Reshape (table, flat_shape)
  entries = Size (table)
  starts = Range (none, entries, size){along("start", "starts", "x")}
  code = Cast <to = {INT64}> (x)
  index = Add (code, start)
  y = Gather (flat, index)
}}"""


@dataclass(frozen=True, eq=False)
class Softmax(Elementwise):
    """y = (2 L E + S) // (2 S), E = table[max - x], L = 255, scale 1/255, zero 0.

    table: int64 [256] of exp(-s d) 2^24, its first entry 2^24; axis: ONNX axis, not negative. S sums E along it.
    """

    op_type: ClassVar[str] = "AxQuantizedSoftmax"
    job: ClassVar[str] = "softmax"

    table: Annotated[Array, Tensor("int64", 1)]
    axis: int

    def __post_init__(self) -> None:
        if self.table.shape != (256,) or self.table[0] != 1 << 24 or np.any(self.table < 0) or self.axis < 0:
            raise ConstantError(f"{self.op_type} on axis {self.axis} needs 256 entries that fall from 2^24.")
        if np.any(np.diff(self.table) > 0):
            raise ConstantError(f"The table of {self.op_type} must never rise.")

    def body(self) -> onnx.FunctionProto:
        return parse_body(_SOFTMAX, "")

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


_SOFTMAX = f"""AxQuantizedSoftmax <axis> (x, table) => (y) {{
  axis_i = Constant <value_int: int = @axis> ()
  first = Constant <value = int64[1] {{0}}> ()
  axes = Unsqueeze (axis_i, first)
  code = Cast <to = {INT32}> (x)
  largest = ReduceMax <keepdims = 1> (code, axes)
  distance = Sub (largest, code)
  e = Gather (table, distance)
  s = ReduceSum <keepdims = 1> (e, axes)
  twice_l = Constant <value = int64 {{510}}> ()
  two = Constant <value = int64 {{2}}> ()
  weighted = Mul (e, twice_l)
  numerator = Add (weighted, s)
  denominator = Mul (s, two)
  share = Div (numerator, denominator)
  y = Cast <to = {UINT8}> (share)
}}"""
