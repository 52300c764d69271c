"""Which elements along an axis are the largest or smallest, and where: of equal ones the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Box, ConstantError, Kind, Ranges, Rates, ShapeError, memory_axis
from axbuild.toolchain.kinds.codes import BOOL, FP32, INT64, Edge, ElementType
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import FLOAT


@dataclass(frozen=True, eq=False)
class Rank(Kind):
    """The first `count` elements along an axis, sorted from the largest or, where `largest` is 0, from the smallest on:
    themselves, or their places. Of equal elements the one at the lower place comes first.

    axis: ONNX axis, not negative. Elements are codes of any grid, whole numbers or reals; their order is that of what
    they stand for, and what is no number comes last.
    """

    spellings: ClassVar = {"AxTopK": {"gives": "values"}, "AxTopKIndices": {"gives": "places"}}
    job: ClassVar[str] = "reduce"
    engine: ClassVar[str] = "teng"

    gives: str
    type: ElementType
    axis: int
    count: int
    largest: int

    def __post_init__(self) -> None:
        if self.axis < 0 or self.count < 1 or self.largest not in (0, 1) or self.type == BOOL:
            raise ConstantError(f"{self.op_type} cannot give {self.count} of {self.type} along axis {self.axis}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,)

    @property
    def writes(self) -> Edge:
        return INT64 if self.gives == "places" else self.type

    def text(self) -> str:
        # onnxruntime sorts no codes; float32 holds those of all types
        held = f"held = Cast <to = {FLOAT}> (x)" if self.type.coded else "held = Identity (x)"
        chosen = "y = Identity (places)" if self.gives == "places" else f"y = Cast <to = {self.type.onnx}> (values)"
        if self.type == FP32:
            held = _KNOWN
            if self.gives == "values":
                chosen = "y = GatherElements <axis: int = @axis> (x, places)"
        return f"""
  {held}
  count_i = Constant <value_int: int = @count> ()
  first = Constant <value = int64[1] {{0}}> ()
  k = Unsqueeze (count_i, first)
  values, places = TopK <axis: int = @axis, largest: int = @largest, sorted = 1> (held, k)
  {chosen}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or x[self.axis] < self.count:
            raise ShapeError(f"{self.op_type} cannot give {self.count} elements along axis {self.axis} of {x}.")
        return (*x[: self.axis], self.count, *x[self.axis + 1 :])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[: self.axis], (0, x[self.axis]), *out[self.axis + 1 :]),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        return tuple(axis for axis in rows_first(rank) if axis != memory_axis(self.axis, rank))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """One pass over the line for each element that is found."""
        return out.elements * inputs[0][self.axis] / rates.teng_elements


_KNOWN = """infinity = Constant <value = float {inf}> ()
  largest_i = Constant <value_int: int = @largest> ()
  from_largest = Cast <to = 9> (largest_i)
  below_all = Neg (infinity)
  last = Where (from_largest, below_all, infinity)
  unknown = IsNaN (x)
  held = Where (unknown, last, x)"""
