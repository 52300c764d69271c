"""Arithmetic on two activations that are codes, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from axbuild.toolchain.kinds.arithmetic import add_multipliers, multiplier_of
from axbuild.toolchain.kinds.base import Constant, ConstantError, require_clamp, require_grids
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.kinds.text import DOUBLE, centred, known, rounded, scalar

Factors = tuple[int, int, float]
"""(factor of a, factor of b, multiplier of what the operation makes of the two)"""


@dataclass(frozen=True)
class _Operation:
    """factors: from the grids of a, b and y; lines: from float64 `left`, `right` and `multiplier` to `scaled`."""

    factors: Callable[[Grid, Grid, Grid], Factors]
    lines: str


@dataclass(frozen=True, eq=False)
class Binary(Broadcast):
    """y = clamp(y.zero + floor(scaled + 0.5)), with l = (a - a.zero) a_factor and r = (b - b.zero) b_factor, where
    scaled is (l + r) M, (l - r) M, (l r) M or (l M) / r.

    Add, Sub: M = 2^-t, the larger factor has 22 bits. In every element type |l|, |r| < 2^16 2^22, and t <= 52, so that
    l, r, their sum, its product with M and that plus one half are exact in float64: this is the integer
    (l + r + 2^(t-1)) >> t, rounded once, and 16 bits need no form of their own.
    Mul: the factors are 1, |l r| < 2^32, M = sa sb / sy as every requantisation has it.
    Div: the factors are 1, M = sa / (sb sy) in float64; x / 0 saturates by the sign of x, 0 / 0 gives zero.
    """

    spellings: ClassVar = {
        "AxQuantizedAdd": {"op": "add"},
        "AxQuantizedSub": {"op": "sub"},
        "AxQuantizedMul": {"op": "mul"},
        "AxQuantizedDiv": {"op": "div"},
    }

    op: str
    a: Grid
    b: Grid
    y: Grid
    a_factor: int
    b_factor: int
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.a, self.b, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        if (self.a_factor, self.b_factor, self.multiplier) != _OPERATIONS[self.op].factors(self.a, self.b, self.y):
            raise ConstantError(
                f"The factors {self.a_factor}, {self.b_factor} and {self.multiplier!r} of {self.op_type} are not those "
                f"of its grids."
            )

    @classmethod
    def of(cls, op: str, a: Grid, b: Grid, y: Grid, lo: int, hi: int) -> Self:
        """op: "add", "sub", "mul" or "div"; lo, hi: codes of y."""
        return cls(op, a, b, y, *_OPERATIONS[op].factors(a, b, y), lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.a, self.b

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{centred("a_steps", "a", "a", DOUBLE)}{centred("b_steps", "b", "b", DOUBLE)}
  {scalar("a_weight", "a_factor", DOUBLE)}{scalar("b_weight", "b_factor", DOUBLE)}
  left = Mul (a_steps, a_weight)
  right = Mul (b_steps, b_weight){_OPERATIONS[self.op].lines}{rounded("scaled", self.y.type)}"""


def _shared(a: Grid, b: Grid, y: Grid) -> Factors:
    a_factor, b_factor, shift = add_multipliers(a.scale, b.scale, y.scale)
    return a_factor, b_factor, math.ldexp(1.0, -shift)


def _product(a: Grid, b: Grid, y: Grid) -> Factors:
    return 1, 1, multiplier_of(a.scale * b.scale / y.scale, a, b, y)


def _quotient(a: Grid, b: Grid, y: Grid) -> Factors:
    return 1, 1, a.scale / (b.scale * y.scale)


def _joined(operation: str) -> str:
    return f"""
  joined = {operation} (left, right)
  scaled = Mul (joined, multiplier)"""


_DIVIDED = f"""
  weighted = Mul (left, multiplier)
  quotient = Div (weighted, right){known("scaled", "quotient")}"""

_OPERATIONS = {
    "add": _Operation(_shared, _joined("Add")),
    "sub": _Operation(_shared, _joined("Sub")),
    "mul": _Operation(_product, _joined("Mul")),
    "div": _Operation(_quotient, _DIVIDED),
}
