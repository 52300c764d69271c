"""Look-ups: a code in, a code out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import every_code
from axbuild.toolchain.kinds.base import Constant, ConstantError, require_grids
from axbuild.toolchain.kinds.codes import CODES, Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import I64

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
        """The table of a function of float64 reals: floor(f(s (q - z)) / f64(sy) + 0.5) + zy, saturating."""
        with np.errstate(over="ignore"):
            values = real((every_code(x.type) - x.zero).astype(np.float64) * np.float64(x.scale))
            codes = np.floor(values / np.float64(y.scale) + 0.5) + y.zero
        return cls(function, x, y, np.clip(codes, y.type.lo, y.type.hi).astype(y.type.dtype))

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""
  lowest = Constant <value = int64 {{{self.x.type.lo}}}> ()
  code = Cast <to = {I64}> (x)
  index = Sub (code, lowest)
  y = Gather (table, index)"""
