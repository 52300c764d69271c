"""Arithmetic on one activation and a constant of any shape that broadcasts with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import (
    ANY_RANK,
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    aligned,
    require_clamp,
    require_grids,
    require_multiplier,
)
from axbuild.toolchain.kinds.codes import INT32, S16, Edge, Grid
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, centred, requantised, scalar

FINE_BITS = 14
"""An addend counts in steps of the activation's scale times 2^-14 where it fits 32 bits so."""
ADDEND_BITS = 30


class BesideConstant(Kind):
    """One activation and a constant of any shape that broadcasts with it."""

    job: ClassVar[str] = "eltwise"
    engine: ClassVar[str] = "teng"

    constant: Array

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        try:
            return np.broadcast_shapes(x, self.constant.shape)
        except ValueError as error:
            raise ShapeError(f"{self.op_type} cannot join {x} and {self.constant.shape}.") from error

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (aligned(out, inputs[0]),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(self.output_shape(*inputs)))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements / rates.teng_elements


@dataclass(frozen=True, eq=False)
class WithConstant(BesideConstant):
    """y = clamp(y.zero + floor(acc M + 0.5)), acc = (x - x.zero) factor + constant, or (x - x.zero) constant, or with
    a slope (x - x.zero) factor where x is above x.zero, and (x - x.zero) constant below.

    |x - x.zero| < 2^16, so acc is below 2^32 and exact; its product with M and the half are one IEEE operation each.
    An addend needs no grid: it counts in steps of the accumulator, sx / |factor|, M = that / sy; a negative factor
    subtracts x. A constant factor is S16 codes of one scale sw, M = sx sw / sy; slopes have sw = 1 / factor, a power of
    two.
    """

    spellings: ClassVar = {
        "AxQuantizedAddConstant": {"op": "add"},
        "AxQuantizedMulConstant": {"op": "mul"},
        "AxQuantizedPRelu": {"op": "slope"},
    }
    op: str
    x: Grid
    y: Grid
    factor: int
    constant: Annotated[Array, Constant((INT32.dtype, S16.dtype), ANY_RANK)]
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        adds = self.op == "add"
        fits = self.constant.dtype == (INT32 if adds else S16).dtype and self.constant.size
        highest = 1 if self.op == "mul" else 1 << FINE_BITS
        if not fits or not 1 <= (abs(self.factor) if adds else self.factor) <= highest:
            raise ConstantError(
                f"{self.op_type} takes no factor {self.factor} with {self.constant.dtype} {list(self.constant.shape)}."
            )
        require_multiplier(self.op_type, self.multiplier)

    @classmethod
    def added(cls, constant: Array, sign: int, x: Grid, y: Grid, lo: int, hi: int) -> WithConstant:
        """sign x + constant, sign 1 or -1. What is beyond 2^30 steps of x saturates: no output grid can hold both."""
        steps = constant.astype(np.float64) / np.float64(x.scale)
        largest = max(float(np.abs(steps).max()), 1.0)
        factor = 1 << min(max(ADDEND_BITS - math.frexp(largest)[1], 0), FINE_BITS)
        codes = np.clip(np.rint(steps * factor), -(2.0**ADDEND_BITS), 2.0**ADDEND_BITS).astype(INT32.dtype)
        return cls("add", x, y, sign * factor, codes, x.scale / factor / y.scale, lo, hi)

    @classmethod
    def times(cls, constant: Array, x: Grid, y: Grid, lo: int, hi: int) -> WithConstant:
        """x constant."""
        values = constant.astype(np.float64)
        scale = float(np.abs(values).max()) / S16.hi or 1.0
        return cls("mul", x, y, 1, np.rint(values / scale).astype(S16.dtype), x.scale * scale / y.scale, lo, hi)

    @classmethod
    def sloped(cls, slope: Array, x: Grid, y: Grid, lo: int, hi: int) -> WithConstant:
        """x above 0, slope x below. |slope| up to 32767."""
        values = slope.astype(np.float64)
        bits = math.frexp(max(float(np.abs(values).max()), 1.0))[1]
        factor = 1 << min(max(FINE_BITS - bits + 1, 0), FINE_BITS)
        codes = np.clip(np.rint(values * factor), S16.lo, S16.hi).astype(S16.dtype)
        return cls("slope", x, y, factor, codes, x.scale / factor / y.scale, lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{centred("steps", "x", "x", DOUBLE)}{scalar("weight", "factor", DOUBLE)}
  weighted = Mul (steps, weight)
  constant_d = Cast <to = {DOUBLE}> (constant){_JOINED[self.op]}{requantised("acc", "multiplier", self.y.type)}"""

    def slowdown(self, rates: Rates) -> float:
        """The constant has 16 bits or more."""
        return rates.teng_wide


_JOINED = {
    "add": """
  acc = Add (weighted, constant_d)""",
    "mul": """
  acc = Mul (weighted, constant_d)""",
    "slope": """
  none = Constant <value = double {0.0}> ()
  above = Max (weighted, none)
  below = Min (steps, none)
  sloped = Mul (below, constant_d)
  acc = Add (above, sloped)""",
}
