"""Sums over whole axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import ACCUMULATOR_LIMIT, U8, AccumulatorError, check_multipliers
from axbuild.toolchain.kinds.base import Box, Kind, Ranges, Rates, ShapeError, Tensor, parse_body
from axbuild.toolchain.kinds.text import DOUBLE, INT64, centred, check_clamp, check_codes, requantised

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class GlobalAveragePool(Kind):
    """clamp(R(exact sum of centred codes over height and width)), rank 4, dimensions kept.

    multiplier: sx / (sy count) as m 2^-t. The sum is int64, below 2^31 by the check of the shape.
    """

    op_type: ClassVar[str] = "AxQuantizedGlobAvgPool"
    job: ClassVar[str] = "reduce"
    engine: ClassVar[str] = "teng"

    multiplier: Annotated[float, Tensor("float64", 0)]
    x_zero: int
    y_zero: int
    lo: int
    hi: int

    def __post_init__(self) -> None:
        check_codes(self.op_type, x_zero=self.x_zero, y_zero=self.y_zero)
        check_clamp(self.op_type, self.lo, self.hi)
        check_multipliers(self.multiplier)

    def body(self) -> onnx.FunctionProto:
        return parse_body(_GLOBAL_AVERAGE, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 4:
            raise ShapeError(f"{self.op_type} cannot read {x}; it needs rank 4.")
        if x[2] * x[3] * max(self.x_zero, U8 - self.x_zero) >= ACCUMULATOR_LIMIT:
            raise AccumulatorError(f"{self.op_type} sums {x[2]} x {x[3]} codes; its accumulator must stay below 2^31.")
        return (x[0], x[1], 1, 1)

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        ((_, _, height, width),) = inputs
        return ((out[0], out[1], (0, height), (0, width)),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return 3, 0

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        ((_, _, height, width),) = inputs
        return out.elements * height * width / rates.teng_elements


_GLOBAL_AVERAGE = f"""AxQuantizedGlobAvgPool <x_zero, y_zero, lo, hi> (x, multiplier) => (y)
  {{{centred("centred", "x", "x_zero", INT64)}
  plane = Constant <value = int64[2] {{2, 3}}> ()
  sum = ReduceSum <keepdims = 1> (centred, plane)
  acc = Cast <to = {DOUBLE}> (sum){requantised("acc", "multiplier")}
}}"""
