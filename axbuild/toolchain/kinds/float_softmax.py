"""Shares of a whole in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import ConstantError, Ranges, ShapeError, memory_axis
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.formula import Formula
from axbuild.toolchain.kinds.text import DOUBLE, I64

SHARE_BITS = 40
"""fraction bits in which powers are summed"""
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class FloatSoftmax(Elementwise):
    """y = f32(E / S), E = floor(exp(x - max) 2^40), S its sum along the axis in int64; float64 elsewhere.

    Infinities count as the ends of float32, no number as the lower one.
    """

    spellings: ClassVar = {"AxSoftmax": {}}
    job: ClassVar[str] = "softmax"

    axis: int

    def __post_init__(self) -> None:
        if self.axis < 0:
            raise ConstantError(f"{self.op_type} has no axis {self.axis}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return Formula().text(_shares)

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x):
            raise ShapeError(f"{self.op_type} on axis {self.axis} cannot read {x}.")
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[: self.axis], (0, x[self.axis]), *out[self.axis + 1 :]),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        own = memory_axis(self.axis, len(inputs[0]))
        return tuple(axis for axis in super().tile_axes(*inputs) if axis != own)


def _shares(f: Formula) -> str:
    first = f.op("Constant <value = int64[1] {0}>")
    axes = f.op("Unsqueeze", f.op("Constant <value_int: int = @axis>"), first)
    known = f.op("Where", f.op("IsNaN", "x_d"), f.number(-LARGEST), "x_d")
    x = f.clamped(known, -LARGEST, LARGEST)
    distance = f.op("Sub", x, f.op("ReduceMax <keepdims = 1>", x, axes))
    grown = f.op("Mul", f.exp(distance), f.number(2.0**SHARE_BITS))
    power = f.op("Floor", grown)
    total = f.op("ReduceSum <keepdims = 1>", f.op(f"Cast <to = {I64}>", power), axes)
    return f.op("Div", power, f.op(f"Cast <to = {DOUBLE}>", total))
