"""Shares of a whole in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import ConstantError, Ranges, ShapeError, memory_axis
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.formula import LARGEST, Formula
from axbuild.toolchain.kinds.text import DOUBLE, I64

SHARE_BITS = 40
"""fraction bits in which powers are summed"""


@dataclass(frozen=True, eq=False)
class FloatSoftmax(Elementwise):
    """y = f32(E / S), or its logarithm f32((x - max) - ln(S 2^-40)): E = floor(exp(x - max) 2^40), S its sum along the
    axis in int64; float64 elsewhere.

    Infinities count as the ends of float32, no number as the lower one.
    """

    spellings: ClassVar = {"AxSoftmax": {"op": "share"}, "AxLogSoftmax": {"op": "logarithm"}}
    job: ClassVar[str] = "softmax"

    op: str
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
        return Formula().text(self._found)

    def _found(self, f: Formula) -> str:
        axes = f.op("Unsqueeze", f.op("Constant <value_int: int = @axis>"), f.integers(0))
        x = f.clamped(f.known("x_d", -LARGEST), -LARGEST, LARGEST)
        distance = f.op("Sub", x, f.op("ReduceMax <keepdims = 1>", x, axes))
        power = f.op("Floor", f.op("Mul", f.exp(distance), f.number(2.0**SHARE_BITS)))
        whole = f.op("ReduceSum <keepdims = 1>", f.op(f"Cast <to = {I64}>", power), axes)
        total = f.op(f"Cast <to = {DOUBLE}>", whole)
        if self.op == "share":
            return f.op("Div", power, total)
        return f.op("Sub", distance, f.log(f.op("Mul", total, f.number(2.0**-SHARE_BITS))))

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
