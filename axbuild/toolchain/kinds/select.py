"""One of two activations, element by element: by a condition, or the larger, or the smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from axbuild.toolchain.kinds.arithmetic import multiplier_of
from axbuild.toolchain.kinds.base import Constant, ConstantError, require_clamp, require_grids
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.kinds.codes import BOOL, FP32, INT32, INT64, Edge, ElementType, Grid
from axbuild.toolchain.kinds.text import DOUBLE, centred, clamped


@dataclass(frozen=True, eq=False)
class Select(Broadcast):
    """y = clamp(y.zero + one of R(a - a.zero) and R(b - b.zero)), each requantised to the grid of y before the choice.

    where: a where the condition, a BOOL read before a and b, is true, else b; max, min: the larger, the smaller.
    a_multiplier, b_multiplier: sa / sy and sb / sy.
    """

    spellings: ClassVar = {
        "AxQuantizedWhere": {"op": "where"},
        "AxQuantizedMax": {"op": "max"},
        "AxQuantizedMin": {"op": "min"},
    }

    op: str
    a: Grid
    b: Grid
    y: Grid
    a_multiplier: Annotated[float, Constant(("float64",), 0)]
    b_multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.a, self.b, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        if (self.a_multiplier, self.b_multiplier) != _multipliers(self.a, self.b, self.y):
            raise ConstantError(
                f"The multipliers {self.a_multiplier!r} and {self.b_multiplier!r} of {self.op_type} are not those of "
                f"its grids."
            )

    @classmethod
    def of(cls, op: str, a: Grid, b: Grid, y: Grid, lo: int, hi: int) -> Select:
        """op: "where", "max" or "min"; lo, hi: codes of y."""
        return cls(op, a, b, y, *_multipliers(a, b, y), lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (BOOL, self.a, self.b) if self.op == "where" else (self.a, self.b)

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def names(self) -> tuple[str, ...]:
        return ("condition", "a", "b")[-len(self.reads) :]

    def text(self) -> str:
        return f"""
  half = Constant <value = double {{0.5}}> (){_requantised("a")}{_requantised("b")}
  {_CHOICES[self.op]}{clamped("chosen", self.y.type)}"""


@dataclass(frozen=True, eq=False)
class Choose(Broadcast):
    """a where the condition is true, else b, of two tensors of one type that is no codes."""

    spellings: ClassVar = {"AxWhere": {}}

    type: ElementType

    def __post_init__(self) -> None:
        if self.type not in (FP32, INT32, INT64):
            raise ConstantError(f"{self.op_type} cannot choose between elements of {self.type}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return BOOL, self.type, self.type

    @property
    def writes(self) -> Edge:
        return self.type

    @property
    def names(self) -> tuple[str, ...]:
        return "condition", "a", "b"

    def text(self) -> str:
        return "y = Where (condition, a, b)"


def _multipliers(a: Grid, b: Grid, y: Grid) -> tuple[float, float]:
    return multiplier_of(a.scale / y.scale, a, y), multiplier_of(b.scale / y.scale, b, y)


def _requantised(name: str) -> str:
    """Lines that define `name`_new: the codes of that input on the grid of y, less its zero, in float64."""
    return f"""{centred(f"{name}_steps", name, name, DOUBLE)}
  {name}_scaled = Mul ({name}_steps, {name}_multiplier)
  {name}_raised = Add ({name}_scaled, half)
  {name}_new = Floor ({name}_raised)"""


_CHOICES = {
    "where": "chosen = Where (condition, a_new, b_new)",
    "max": "chosen = Max (a_new, b_new)",
    "min": "chosen = Min (a_new, b_new)",
}
