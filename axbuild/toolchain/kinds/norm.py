"""Normalisation over the last axes: LayerNorm, and RMSNorm, which leaves the mean where it is."""

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
    memory_axis,
    require_clamp,
    require_grids,
    whole,
)
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import DOUBLE, I64, centred, rounded


class OverLastAxes(Kind):
    """What normalisations share: the elements of the last axes together.

    sizes: of these axes; weight, bias: float64 that broadcasts to them, both of one shape; epsilon: what is added to
    the variance.
    """

    job: ClassVar[str] = "norm"
    engine: ClassVar[str] = "teng"

    sizes: tuple[int, ...]
    weight: Array
    bias: Array
    epsilon: float

    def require_constants(self) -> None:
        """Raises ConstantError where they do not fit the axes, or are no numbers."""
        fits = self.weight.ndim == len(self.sizes) >= 1 and self.weight.shape == self.bias.shape
        if not fits or any(own not in (1, size) for own, size in zip(self.weight.shape, self.sizes, strict=True)):
            raise ConstantError(
                f"{self.op_type} over {list(self.sizes)} has weights {list(self.weight.shape)} and biases "
                f"{list(self.bias.shape)}."
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise ConstantError(f"A weight or bias of {self.op_type} is not finite.")
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ConstantError(
                f"The epsilon of {self.op_type} is not a positive number: equal elements have no variance."
            )

    @property
    def gain(self) -> Array:
        """float64: what the weight stands for."""
        return self.weight

    @property
    def axes(self) -> int:
        """How many of the last axes are normalised."""
        return len(self.sizes)

    @property
    def count(self) -> int:
        """N, the elements that are normalised together."""
        return math.prod(self.sizes)

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) <= self.axes or x[len(x) - self.axes :] != self.sizes:
            raise ShapeError(f"{self.op_type} over {list(self.sizes)} cannot read {x}.")
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        kept = len(x) - self.axes
        return ((*out[:kept], *whole(x[kept:])),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        normalised = {memory_axis(axis, rank) for axis in range(rank - self.axes, rank)}
        return tuple(axis for axis in rows_first(rank) if axis not in normalised)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """One pass for the sums, one for the result."""
        return 2 * out.elements / rates.teng_elements


GAINS = {"FP32": "float32", "S32": "int32", "U32": "uint32"}
"""what the scale of a normalisation may be stored as, with the vendor's names -> numpy's"""


def _stored(gain: Array, kind: str) -> tuple[Array, float]:
    """(constants of that type, what one of them counts): as they are, or whole numbers of a power of two.

    The power is the smallest with which the largest gain fits, so that products with it are exact. Raises ConstantError
    where the type does not hold a gain.
    """
    dtype = np.dtype(GAINS[kind])
    if dtype.kind == "f":
        return gain.astype(dtype), 1.0
    if dtype.kind == "u" and (gain < 0).any():
        raise ConstantError(
            f"Its scale is negative at a place, {gain.min():g} steps of the output, and U32 holds none."
        )
    highest = int(np.iinfo(dtype).max)
    exponent = math.frexp(float(np.abs(gain).max(initial=0.0)))[1]
    step = math.ldexp(1.0, exponent - highest.bit_length())
    return np.clip(np.rint(gain / step), -highest if dtype.kind == "i" else 0, highest).astype(dtype), step


@dataclass(frozen=True, eq=False)
class LayerNorm(OverLastAxes):
    """y = clamp(y.zero + floor((N d - S1) / sqrt(V + epsilon) gain + bias + 0.5)) over N codes q of x at a time.

    sizes: of the last axes, which are normalised; gain = f64(weight) step: g / sy as float32 with a step of 1, or as
    int32 or uint32 with a power of two; bias: float64, b / sy; weight and bias broadcast to the axes, both of one
    shape; epsilon: e N^2 / sx^2.
    With the mean, d = q - rint(sum q / N), S1 = sum d; without it d = q - x.zero, S1 = 0. S2 = sum d^2.
    V = N S2 - S1^2 in int64, where N^2 max d^2 reaches 2^63 each of its operations in float64. Sums and N d - S1 are
    int64 and exact; all the rest is float64 in the written order.
    """

    spellings: ClassVar = {
        "AxQuantizedLayerNorm": {"subtract_mean": True},
        "AxQuantizedRMSNorm": {"subtract_mean": False},
    }
    subtract_mean: bool
    x: Grid
    y: Grid
    sizes: tuple[int, ...]
    weight: Annotated[Array, Constant(tuple(GAINS.values()), ANY_RANK)]
    step: Annotated[float, Constant(("float64",), 0)]
    bias: Annotated[Array, Constant(("float64",), ANY_RANK)]
    epsilon: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        self.require_constants()
        if not (math.isfinite(self.step) and self.step > 0):
            raise ConstantError(f"The step of the weight of {self.op_type} is not a positive number.")

    @classmethod
    def of(
        cls,
        x: Grid,
        y: Grid,
        sizes: Shape,
        weight: Array,
        bias: Array,
        epsilon: float,
        lo: int,
        hi: int,
        subtract_mean: bool = True,
        stored: str = "FP32",
    ) -> LayerNorm:
        """weight, bias: float, as they broadcast to the normalised axes; epsilon: what the float operator adds; stored:
        what the weight is stored as, of GAINS."""
        count, sx, sy = np.float64(math.prod(sizes)), np.float64(x.scale), np.float64(y.scale)
        grown = np.float64(epsilon) * (count * count) / (sx * sx)
        shape = np.broadcast_shapes(weight.shape, bias.shape, (1,) * len(sizes))
        gain, offset = (np.broadcast_to(array.astype(np.float64) / sy, shape).copy() for array in (weight, bias))
        return cls(subtract_mean, x, y, sizes, *_stored(gain, stored), offset, float(grown), lo, hi)

    @property
    def gain(self) -> Array:
        gain: Array = self.weight.astype(np.float64) * np.float64(self.step)
        return gain

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def exact(self) -> bool:
        """Whether int64 holds N S2 and S1^2."""
        largest = self.x.type.span if self.subtract_mean else self.x.reach
        return (self.count * largest) ** 2 < 1 << 63

    @property
    def variant(self) -> str:
        return f"axes{self.axes}" + ("" if self.exact else "_long")

    def text(self) -> str:
        last = ", ".join(str(axis - self.axes) for axis in range(self.axes))
        return f"""
  along = Constant <value = int64[{self.axes}] {{{last}}}> ()
  extents = Constant <value_ints: ints = @sizes> ()
  count = ReduceProd <keepdims = 0> (extents){_LESS_MEAN if self.subtract_mean else _AS_IT_IS}
  squares = Mul (d, d)
  s2 = ReduceSum <keepdims = 1> (squares, along)
  {_EXACT if self.exact else _LONG}
  spread = Add (variance, epsilon)
  root = Sqrt (spread)
  d_many = Mul (d, count)
  above = Sub (d_many, s1)
  above_f = Cast <to = {DOUBLE}> (above)
  unit = Div (above_f, root)
  weight_d = Cast <to = {DOUBLE}> (weight)
  gain = Mul (weight_d, step)
  weighted = Mul (unit, gain)
  moved_on = Add (weighted, bias){rounded("moved_on", self.y.type)}"""


_LESS_MEAN = f"""
  code = Cast <to = {I64}> (x)
  total = ReduceSum <keepdims = 1> (code, along)
  total_f = Cast <to = {DOUBLE}> (total)
  count_d = Cast <to = {DOUBLE}> (count)
  mean = Div (total_f, count_d)
  middle_f = Round (mean)
  middle = Cast <to = {I64}> (middle_f)
  d = Sub (code, middle)
  s1 = ReduceSum <keepdims = 1> (d, along)"""

_AS_IT_IS = f"""{centred("d", "x", "x", I64)}
  s1 = Constant <value = int64 {{0}}> ()"""

_EXACT = f"""
  many = Mul (s2, count)
  mean_square = Mul (s1, s1)
  variance_i = Sub (many, mean_square)
  variance = Cast <to = {DOUBLE}> (variance_i)"""

_LONG = f"""
  s1_f = Cast <to = {DOUBLE}> (s1)
  s2_f = Cast <to = {DOUBLE}> (s2)
  count_f = Cast <to = {DOUBLE}> (count)
  many = Mul (s2_f, count_f)
  mean_square = Mul (s1_f, s1_f)
  variance = Sub (many, mean_square)"""
