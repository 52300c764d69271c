"""Rotation of pairs of elements along the last axis by angles that are constants: rotary position embedding."""

from __future__ import annotations

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
    memory_axis,
    require_clamp,
    require_grids,
    require_multiplier,
)
from axbuild.toolchain.kinds.codes import FP32, S16, Edge, Grid
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, centred, real_out, requantised


class Turning(Kind):
    """y[.., j] = x[.., j] c[.., j] + x[.., p] s[.., j] with p = partner[j]; factors: [2, ...], c and s, both broadcast
    to x from the right and have its last axis."""

    job: ClassVar[str] = "eltwise"
    engine: ClassVar[str] = "teng"

    partner: tuple[int, ...]
    factors: Array

    def require_factors(self) -> None:
        """Raises ConstantError where they do not fit the partners."""
        count = len(self.partner)
        fits = self.factors.ndim > 1 and self.factors.shape[0] == 2 and self.factors.shape[-1] == count
        if not fits or not self.factors.size or not all(0 <= position < count for position in self.partner):
            raise ConstantError(
                f"{self.op_type} of {count} elements cannot have factors {list(self.factors.shape)} and the partners "
                f"{list(self.partner)[:8]}."
            )

    def turned(self, elements: str) -> str:
        """Lines that define the float64 `acc` from the float64 `elements`."""
        return f"""
  places = Constant <value_ints: ints = @partner> ()
  partners = Gather <axis = -1> ({elements}, places)
  factors_d = Cast <to = {DOUBLE}> (factors)
  first = Constant <value = int64 {{0}}> ()
  second = Constant <value = int64 {{1}}> ()
  cosine = Gather <axis = 0> (factors_d, first)
  sine = Gather <axis = 0> (factors_d, second)
  kept = Mul ({elements}, cosine)
  turned = Mul (partners, sine)
  acc = Add (kept, turned)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        own = self.factors.shape[1:]
        aligned = zip(own[::-1], x[::-1], strict=False)
        if len(own) > len(x) or x[-1] != len(self.partner) or any(size not in (1, whole) for size, whole in aligned):
            raise ShapeError(f"{self.op_type} with factors {list(own)} cannot read {x}.")
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return ((*out[:-1], (0, len(self.partner))),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        return tuple(axis for axis in rows_first(rank) if axis != memory_axis(rank - 1, rank))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """A pass for each product."""
        return 2 * out.elements / rates.teng_elements


@dataclass(frozen=True, eq=False)
class Rotary(Turning):
    """y[.., j] = clamp(y.zero + floor(acc M + 0.5)), acc = (x[.., j] - x.zero) c[.., j] + (x[.., p] - x.zero) s[.., j]
    with p = partner[j].

    factors: S16 [2, ...], c and s as codes of one scale sw; both broadcast to x from the right and have its last axis.
    M = sx sw / sy. |acc| < 2^32 is exact, its product with M and the half are one IEEE operation each.
    """

    spellings: ClassVar = {"AxRotaryEmbedding": {}}
    x: Grid
    y: Grid
    partner: tuple[int, ...]
    factors: Annotated[Array, Constant((S16.dtype,), ANY_RANK)]
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        self.require_factors()
        require_multiplier(self.op_type, self.multiplier)

    @classmethod
    def of(cls, x: Grid, y: Grid, partner: tuple[int, ...], factors: Array, lo: int, hi: int) -> Rotary:
        """factors: float [2, ...]."""
        values = factors.astype(np.float64)
        scale = float(np.abs(values).max()) / S16.hi or 1.0
        codes = np.rint(values / scale).astype(S16.dtype)
        return cls(x, y, partner, codes, x.scale * scale / y.scale, lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        steps = centred("steps", "x", "x", DOUBLE)
        return f"""{steps}{self.turned("steps")}{requantised("acc", "multiplier", self.y.type)}"""

    def slowdown(self, rates: Rates) -> float:
        """The factors have 16 bits."""
        return rates.teng_wide


@dataclass(frozen=True, eq=False)
class FloatRotary(Turning):
    """f32 of the sum in float64, where both products of float32 factors are exact."""

    spellings: ClassVar = {"AxFloatRotaryEmbedding": {}}

    partner: tuple[int, ...]
    factors: Annotated[Array, Constant((FP32.dtype,), ANY_RANK)]

    def __post_init__(self) -> None:
        self.require_factors()

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return f"""
  reals = Cast <to = {DOUBLE}> (x){self.turned("reals")}{real_out("acc")}"""
