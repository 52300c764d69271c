"""Windows over height and width of reals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import Constant, ConstantError, ShapeError
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.formula import LARGEST_DOUBLE, Formula
from axbuild.toolchain.kinds.pool import Pooling
from axbuild.toolchain.kinds.window import Window

END = 1 << 31
"""as the end of a slice: up to the last element"""


class FloatPooling(Pooling):
    """What both share: the rows of a window are folded onto each other (Formula.joined), then its columns."""

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    @property
    def variant(self) -> str:
        window = self.window
        parts = (window.kernel, window.strides, window.pads, window.dilations)
        return "window" + "_".join("x".join(map(str, part)) for part in parts)

    def folded(self, f: Formula, v: str, operation: str, around: float) -> str:
        """Every window of the float64 `v`; around: what padding counts as."""
        top, left, bottom, right = self.window.pads
        if any(self.window.pads):
            bounds = f.integers(0, 0, top, left, 0, 0, bottom, right)
            v = f.op("Pad", v, bounds, f.number(around))
        for axis in (0, 1):
            v = f.joined([self._tap(f, v, axis, place) for place in range(self.window.kernel[axis])], operation)
        return v

    def _tap(self, f: Formula, v: str, axis: int, place: int) -> str:
        """What each window has at that place of its kernel along height (0) or width (1)."""
        first = place * self.window.dilations[axis]
        behind = self.window.extent(axis) - 1 - first
        bounds = (first, -behind if behind else END, 2 + axis, self.window.strides[axis])
        return f.op("Slice", v, *(f.integers(value) for value in bounds))


@dataclass(frozen=True, eq=False)
class FloatMaxPool(FloatPooling):
    """The largest of each window; padding, and what is no number, is never chosen beside a number."""

    spellings: ClassVar = {"AxFloatMaxPool": {}}

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]

    def __post_init__(self) -> None:
        self.window.check()
        self.window.check_pads()

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads, self.dilations)

    def text(self) -> str:
        return Formula().text(lambda f: self.folded(f, f.known("x_d", -LARGEST_DOUBLE), "Max", -LARGEST_DOUBLE))


@dataclass(frozen=True, eq=False)
class FloatAveragePool(FloatPooling):
    """f32(sum / count) in float64, padding counting as 0; count: float64 [ho, wo]."""

    spellings: ClassVar = {"AxFloatAveragePool": {}}

    count: Annotated[Array, Constant(("float64",), 2)]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        self.window.check()
        if self.count.min(initial=1) <= 0:
            raise ConstantError(f"{self.op_type} over {self.kernel} has a window that counts no element.")

    @property
    def window(self) -> Window:
        return Window(self.op_type, self.kernel, self.strides, self.pads)

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        if shape[2:] != self.count.shape:
            raise ShapeError(f"{self.op_type} has {self.count.shape} counts for an output of {shape}.")
        return shape

    def text(self) -> str:
        return Formula().text(lambda f: f.op("Div", self.folded(f, "x_d", "Add", 0.0), "count"))
