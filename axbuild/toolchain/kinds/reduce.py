"""Whole axes that become one element; their dimensions are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import AccumulatorError, multiplier_of, require_multipliers
from axbuild.toolchain.kinds.base import (
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    memory_axis,
    require_clamp,
    require_grids,
)
from axbuild.toolchain.kinds.codes import Edge, Grid, accumulator_bound
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, FLOAT, I64, centred, requantised, scalar


class Reducing(Kind):
    """What reductions share: whole axes become one element, and their dimensions stay."""

    job: ClassVar[str] = "reduce"
    engine: ClassVar[str] = "teng"

    axes: tuple[int, ...]
    """ONNX axes, not negative, ascending"""

    def require_axes(self) -> None:
        """Raises ConstantError where they are none."""
        if not self.axes or min(self.axes) < 0 or tuple(sorted(set(self.axes))) != self.axes:
            raise ConstantError(f"{self.op_type} cannot reduce the axes {self.axes}.")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axes[-1] >= len(x):
            raise ShapeError(f"{self.op_type} over the axes {self.axes} cannot read {x}.")
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(x))

    def elements(self, x: Shape) -> int:
        """How many become one."""
        return math.prod(x[axis] for axis in self.axes)

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return (tuple((0, size) if axis in self.axes else out[axis] for axis, size in enumerate(x)),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        reduced = {memory_axis(axis, rank) for axis in self.axes}
        return tuple(axis for axis in rows_first(rank) if axis not in reduced)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements * self.elements(inputs[0]) / rates.teng_elements


@dataclass(frozen=True, eq=False)
class Reduce(Reducing):
    """op over `axes` (ONNX axes, not negative, ascending), then the clamp lo..hi.

    mean, sum: R of the exact sum of centred codes; l2: of the float64 root of the exact sum of their squares; max,
    min: one of the codes, so y is the grid of x.
    count: what a mean divides by, the elements that become one; 1 for the others.
    multiplier: sx / (sy count); 1 for max and min.
    """

    spellings: ClassVar = {
        "AxReduceMean": {"op": "mean"},
        "AxReduceSum": {"op": "sum"},
        "AxReduceL2": {"op": "l2"},
        "AxReduceMax": {"op": "max"},
        "AxReduceMin": {"op": "min"},
        "AxQuantizedGlobAvgPool": {"op": "mean"},
    }
    op: str
    x: Grid
    y: Grid
    axes: tuple[int, ...]
    count: int
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        require_multipliers(self.multiplier, self.x, self.y)
        self.require_axes()
        if self.count < 1 or (self.count > 1 and self.op != "mean"):
            raise ConstantError(f"{self.op_type} cannot divide by {self.count}.")
        if self.chooses and (self.x != self.y or self.multiplier != 1.0):
            raise ConstantError(
                f"{self.op_type} cannot go from {self.x} to {self.y}: it gives one of the codes it reads."
            )

    @classmethod
    def of(cls, op: str, x: Grid, y: Grid, axes: tuple[int, ...], lo: int, hi: int, count: int = 1) -> Reduce:
        """count: the elements over which a mean goes."""
        ratio = float(np.float64(x.scale) / (np.float64(y.scale) * np.float64(count)))
        return cls(op, x, y, tuple(sorted(axes)), count, multiplier_of(ratio, x, y), lo, hi)

    @property
    def op_type(self) -> str:
        """A mean over the map keeps the vendor's name."""
        return "AxQuantizedGlobAvgPool" if self.op == "mean" and self.axes == (2, 3) else super().op_type

    @property
    def chooses(self) -> bool:
        """Whether it gives one of the codes it reads."""
        return self.op in ("max", "min")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        if not self.chooses:
            acc = _ROOT if self.op == "l2" else _TOTAL
            return f"""{centred("centred", "x", "x", I64)}
  along = Constant <value_ints: ints = @axes> (){acc}{requantised("acc", "multiplier", self.y.type)}"""
        # onnxruntime has neither for 16 bits; float32 holds the codes of all types
        extreme = {"max": "ReduceMax", "min": "ReduceMin"}[self.op]
        return f"""
  along = Constant <value_ints: ints = @axes> ()
  held = Cast <to = {FLOAT}> (x)
  extreme = {extreme} <keepdims = 1> (held, along)
  {scalar("lo_f", "lo", FLOAT)}{scalar("hi_f", "hi", FLOAT)}
  inside = Clip (extreme, lo_f, hi_f)
  y = Cast <to = {self.y.type.onnx}> (inside)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,), out = inputs, super().output_shape(*inputs)
        elements = self.elements(x)
        if self.op == "mean" and elements != self.count:
            raise ShapeError(
                f"{self.op_type} divides by {self.count}, but the axes {self.axes} of {x} hold {elements}."
            )
        squares = self.op == "l2"
        limit = 1 << 63 if squares else accumulator_bound(self.x, self.y)
        if not self.chooses and elements * self.x.reach ** (2 if squares else 1) >= limit:
            raise AccumulatorError(
                f"{self.op_type} sums {elements} {'squares' if squares else 'codes'} of {x}; its accumulator must "
                f"stay below 2^{limit.bit_length() - 1}."
            )
        return out


_TOTAL = f"""
  sum = ReduceSum <keepdims = 1> (centred, along)
  acc = Cast <to = {DOUBLE}> (sum)"""

_ROOT = f"""
  squares = Mul (centred, centred)
  sum = ReduceSum <keepdims = 1> (squares, along)
  sum_f = Cast <to = {DOUBLE}> (sum)
  acc = Sqrt (sum_f)"""
