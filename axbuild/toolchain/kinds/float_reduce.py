"""Whole axes of reals that become one element."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import ConstantError, ShapeError
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.formula import Formula
from axbuild.toolchain.kinds.reduce import Reducing

_SUMS = ("mean", "sum", "l2")


@dataclass(frozen=True, eq=False)
class FloatReduce(Reducing):
    """op over `axes`, which have these `sizes`: in float64, rounded once to float32.

    mean, sum, l2: each axis folded in turn (Formula.folded); over their number, as it is, or the root of the sum of
    squares. max, min: the largest, the smallest; what is no number is never chosen beside a number.
    """

    spellings: ClassVar = {
        "AxFloatReduceMean": {"op": "mean"},
        "AxFloatReduceSum": {"op": "sum"},
        "AxFloatReduceL2": {"op": "l2"},
        "AxFloatReduceMax": {"op": "max"},
        "AxFloatReduceMin": {"op": "min"},
    }

    op: str
    axes: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require_axes()
        if len(self.sizes) != len(self.axes) or min(self.sizes) < 1:
            raise ConstantError(f"{self.op_type} cannot reduce axes of the sizes {self.sizes}.")

    @classmethod
    def of(cls, op: str, axes: tuple[int, ...], x: Shape) -> FloatReduce:
        """x: the shape that is read."""
        return cls(op, axes, tuple(x[axis] for axis in axes))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    @property
    def variant(self) -> str:
        folds = "_".join(f"{axis}x{size}" for axis, size in zip(self.axes, self.sizes, strict=True))
        return f"over{folds}" if self.op in _SUMS else ""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,), out = inputs, super().output_shape(*inputs)
        if tuple(x[axis] for axis in self.axes) != self.sizes:
            raise ShapeError(f"{self.op_type} over axes {self.axes} of {self.sizes} elements cannot read {x}.")
        return out

    def text(self) -> str:
        return Formula().text(self._summed if self.op in _SUMS else self._chosen)

    def _summed(self, f: Formula) -> str:
        total = f.op("Mul", "x_d", "x_d") if self.op == "l2" else "x_d"
        for axis, size in zip(self.axes, self.sizes, strict=True):
            total = f.folded(total, axis, size)
        if self.op == "mean":
            return f.op("Div", total, f.number(float(math.prod(self.sizes))))
        return f.op("Sqrt", total) if self.op == "l2" else total

    def _chosen(self, f: Formula) -> str:
        operator, last = ("ReduceMax", -math.inf) if self.op == "max" else ("ReduceMin", math.inf)
        along = f.op("Constant <value_ints: ints = @axes>")
        return f.op(f"{operator} <keepdims = 1>", f.known("x_d", last), along)
