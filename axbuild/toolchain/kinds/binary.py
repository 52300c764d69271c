"""Two activations, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.arithmetic import MANTISSA_BITS, MAX_SHIFT
from axbuild.toolchain.kinds.base import Box, ConstantError, Kind, Ranges, Rates, ShapeError, aligned, parse_body
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, centred, check_clamp, check_codes, clamped, scalar

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class Add(Kind):
    """y = clamp(y_zero + (((a - a_zero) a_multiplier + (b - b_zero) b_multiplier + 2^(shift-1)) >> shift)).

    Broadcast as in ONNX. Multipliers are 0 to 2^22, the shift 1 to 52, so that the sum stays below 2^32 and is
    exact in float64, and so is its rounding: floor(sum / 2^shift + 0.5).
    """

    op_type: ClassVar[str] = "AxQuantizedAdd"
    job: ClassVar[str] = "eltwise"
    engine: ClassVar[str] = "teng"
    activations: ClassVar[int] = 2

    a_zero: int
    b_zero: int
    y_zero: int
    a_multiplier: int
    b_multiplier: int
    shift: int
    lo: int
    hi: int

    def __post_init__(self) -> None:
        check_codes(self.op_type, a_zero=self.a_zero, b_zero=self.b_zero, y_zero=self.y_zero)
        check_clamp(self.op_type, self.lo, self.hi)
        largest = 1 << MANTISSA_BITS
        if not (0 <= self.a_multiplier <= largest and 0 <= self.b_multiplier <= largest):
            raise ConstantError(
                f"The multipliers {self.a_multiplier} and {self.b_multiplier} of {self.op_type} must be 0 to {largest}."
            )
        if not 1 <= self.shift <= MAX_SHIFT:
            raise ConstantError(f"The shift {self.shift} of {self.op_type} must be 1 to {MAX_SHIFT}.")

    def body(self) -> onnx.FunctionProto:
        return parse_body(_ADD, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        try:
            return np.broadcast_shapes(*inputs)
        except ValueError as error:
            raise ShapeError(f"{self.op_type} cannot add {inputs[0]} and {inputs[1]}.") from error

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return tuple(aligned(out, shape) for shape in inputs)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(max(len(shape) for shape in inputs))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements / rates.teng_elements


_ADD = f"""AxQuantizedAdd <a_zero, b_zero, y_zero, a_multiplier, b_multiplier, shift, lo, hi> (a, b) => (y)
  {{{centred("left", "a", "a_zero", DOUBLE)}{centred("right", "b", "b_zero", DOUBLE)}
  {scalar("am", "a_multiplier", DOUBLE)}{scalar("bm", "b_multiplier", DOUBLE)}{scalar("bits", "shift", 13)}
  one = Constant <value = uint64 {{1}}> ()
  unit_i = BitShift <direction = "LEFT"> (one, bits)
  unit = Cast <to = {DOUBLE}> (unit_i)
  half = Constant <value = double {{0.5}}> ()
  left_m = Mul (left, am)
  right_m = Mul (right, bm)
  sum = Add (left_m, right_m)
  scaled = Div (sum, unit)
  raised = Add (scaled, half)
  rounded = Floor (raised){clamped("rounded")}
}}"""
