"""Look-ups: a code in, a code out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.arithmetic import dequantise, every_code, quantise
from axbuild.toolchain.kinds.base import Constant, ConstantError, ShapeError, require_grids
from axbuild.toolchain.kinds.codes import CODES, Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import I32, I64, along, looked_up

CODE_DTYPES = tuple(kind.dtype for kind in CODES)


@dataclass(frozen=True, eq=False)
class Table(Elementwise):
    """y = table[x - lowest code of x]: any function of one activation, 256 entries in 8 bits, 65,536 in 16.

    function: the name that viewers show; x, y: grids the table was made for; table: codes of y [entries].
    """

    spellings: ClassVar = {"AxTable": {}}
    job: ClassVar[str] = "lut"

    function: str
    x: Grid
    y: Grid
    table: Annotated[Array, Constant(CODE_DTYPES, 1)]

    def __post_init__(self) -> None:
        require_grids(f"The table of {self.function}", self.x, self.y)
        if self.table.dtype != self.y.type.dtype or self.table.size != self.x.type.span + 1:
            raise ConstantError(
                f"The table of {self.function} from {self.x.type} to {self.y.type} has {self.table.size} entries of "
                f"{self.table.dtype}."
            )

    @classmethod
    def of(cls, function: str, real: Callable[[Array], Array], x: Grid, y: Grid) -> Table:
        """The table of a function of float64 reals: floor(f(s (q - z)) / f64(sy) + 0.5) + zy, saturating.

        Where the function has no value (NaN), it is the code of 0.0.
        """
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = real((every_code(x.type) - x.zero).astype(np.float64) * np.float64(x.scale))
            codes = np.floor(values / np.float64(y.scale) + 0.5) + y.zero
            codes[np.isnan(codes)] = y.zero
        return cls(function, x, y, np.clip(codes, y.type.lo, y.type.hi).astype(y.type.dtype))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""
  lowest = Constant <value = int32 {{{self.x.type.lo}}}> ()
  code = Cast <to = {I32}> (x)
  index = Sub (code, lowest){looked_up("y", "table", "index")}"""


@dataclass(frozen=True, eq=False)
class ChannelTable(Elementwise):
    """y = table[channel, x - lowest code of x]: dequantise, normalise and quantise of a picture at once.

    x, y: grids the tables were made for; table: codes of y [c, entries]; axis: ONNX axis of the channels, not negative.
    """

    spellings: ClassVar = {"AxQuantizedNormalize": {}}
    job: ClassVar[str] = "lut"

    x: Grid
    y: Grid
    table: Annotated[Array, Constant(CODE_DTYPES, 2)]
    axis: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        channels, entries = self.table.shape
        if self.table.dtype != self.y.type.dtype or entries != self.x.type.span + 1 or not channels or self.axis < 0:
            raise ConstantError(
                f"{self.op_type} from {self.x.type} to {self.y.type} on axis {self.axis} has {channels} tables of "
                f"{entries} entries of {self.table.dtype}."
            )

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        x = self.x.type
        return f"""
  lowest = Constant <value = int64 {{{x.lo}}}> ()
  none = Constant <value = int64 {{0}}> ()
  size = Constant <value = int64 {{{x.span + 1}}}> ()
  flat_shape = Constant <value = int64[1] {{-1}}> ()
  flat = Reshape (table, flat_shape)
  entries = Size (table)
  starts = Range (none, entries, size){along("start", "starts", "x")}
  code = Cast <to = {I64}> (x)
  entry = Sub (code, lowest)
  index = Add (entry, start){looked_up("y", "flat", "index")}"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or x[self.axis] != len(self.table):
            raise ShapeError(f"{self.op_type} of {len(self.table)} channels on axis {self.axis} cannot read {x}.")
        return x


def normalise_table(mean: Array, std: Array, x: Grid, y: Grid) -> Array:
    """Codes of y [c, entries]: every code of x as float32 through (x - mean) / std, then `quantise`; float32 [c]."""
    source = dequantise(every_code(x.type), x)
    return quantise((source - mean[:, None]) / std[:, None], y)
