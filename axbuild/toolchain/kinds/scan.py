"""Running sums along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import AccumulatorError, multiplier_of
from axbuild.toolchain.kinds.base import (
    Constant,
    ConstantError,
    Ranges,
    ShapeError,
    memory_axis,
    require_clamp,
    require_grids,
)
from axbuild.toolchain.kinds.codes import FP32, INT32, INT64, Edge, ElementType, Grid, accumulator_bound
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import DOUBLE, I64, centred, real_out, requantised


class Running(Elementwise):
    """Each output element needs all of its line. axis: ONNX axis, not negative; exclusive: without the element itself;
    reverse: from the end on."""

    job: ClassVar[str] = "reduce"

    axis: int
    exclusive: int
    reverse: int

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((*out[: self.axis], (0, x[self.axis]), *out[self.axis + 1 :]),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        along_axis = memory_axis(self.axis, len(inputs[0]))
        return tuple(axis for axis in super().tile_axes(*inputs) if axis != along_axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x):
            raise ShapeError(f"{self.op_type} along axis {self.axis} cannot read {x}.")
        return x

    def _require(self) -> None:
        if self.axis < 0 or {self.exclusive, self.reverse} - {0, 1}:
            raise ConstantError(f"{self.op_type} cannot run along axis {self.axis}.")


_SUMS = """
  axis_i = Constant <value_int: int = @axis> ()
  {name} = CumSum <exclusive: int = @exclusive, reverse: int = @reverse> ({x}, axis_i)"""


@dataclass(frozen=True, eq=False)
class RunningSum(Running):
    """y = clamp(R(the sum of x - x.zero up to the element)), exact before the one rounding; multiplier: sx / sy."""

    spellings: ClassVar = {"AxQuantizedCumSum": {}}

    x: Grid
    y: Grid
    axis: int
    exclusive: int
    reverse: int
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        self._require()
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        if self.multiplier != multiplier_of(self.x.scale / self.y.scale, self.x, self.y):
            raise ConstantError(f"The multiplier {self.multiplier!r} of {self.op_type} is not that of its grids.")

    @classmethod
    def of(cls, x: Grid, y: Grid, axis: int, exclusive: int, reverse: int, lo: int, hi: int) -> Self:
        return cls(x, y, axis, exclusive, reverse, multiplier_of(x.scale / y.scale, x, y), lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{centred("steps", "x", "x", I64)}{_SUMS.format(name="sum", x="steps")}
  acc = Cast <to = {DOUBLE}> (sum){requantised("acc", "multiplier", self.y.type)}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x = super().output_shape(*inputs)
        limit = accumulator_bound(self.x, self.y)
        if x[self.axis] * self.x.reach >= limit:
            raise AccumulatorError(
                f"{self.op_type} sums {x[self.axis]} codes; its accumulator must stay below 2^{limit.bit_length() - 1}."
            )
        return x


@dataclass(frozen=True, eq=False)
class FloatRunningSum(Running):
    """f32 of the sum in float64, which adds one element after the other, from the first one on."""

    spellings: ClassVar = {"AxFloatCumSum": {}}

    axis: int
    exclusive: int
    reverse: int

    def __post_init__(self) -> None:
        self._require()

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""
  reals = Cast <to = {DOUBLE}> (x){_SUMS.format(name="sum", x="reals")}{real_out("sum")}"""


@dataclass(frozen=True, eq=False)
class IntegerRunningSum(Running):
    """The sum of whole numbers up to the element. That it fits 32 bits is proved where a float model is lowered."""

    spellings: ClassVar = {"AxIntegerCumSum": {}}

    type: ElementType
    axis: int
    exclusive: int
    reverse: int

    def __post_init__(self) -> None:
        self._require()
        if self.type not in (INT32, INT64):
            raise ConstantError(f"{self.op_type} cannot sum {self.type}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,)

    @property
    def writes(self) -> Edge:
        return self.type

    def text(self) -> str:
        return _SUMS.format(name="y", x="x")
