"""Exact arithmetic on integers and logic on truth values: what indices and masks are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import ConstantError, Rates
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.kinds.codes import BOOL, INT32, INT64, Edge, ElementType
from axbuild.toolchain.kinds.reduce import Reducing

INTEGERS = (INT32, INT64)

_OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "min": "Min",
    "max": "Max",
    "and": "And",
    "xor": "Xor",
}
"""operation -> ONNX operator"""
_LOGIC = ("and", "xor")


@dataclass(frozen=True, eq=False)
class IntegerBinary(Broadcast):
    """a op b of two tensors of one type: ONNX's own operator, on INT32 and INT64 or, logic, on BOOL.

    A quotient is cut off towards zero. The NPU holds INT64 as int32: that the result fits is proved where a float model
    is lowered, and a value beyond is an error where it is met, as is a divisor of zero.
    """

    spellings: ClassVar = {f"Ax{'' if op in _LOGIC else 'Integer'}{op.capitalize()}": {"op": op} for op in _OPERATORS}

    op: str
    type: ElementType

    def __post_init__(self) -> None:
        if self.type not in ((BOOL,) if self.op in _LOGIC else INTEGERS):
            raise ConstantError(f"{self.op_type} cannot work on {self.type}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.type, self.type

    @property
    def writes(self) -> Edge:
        return self.type

    def text(self) -> str:
        return f"y = {_OPERATORS[self.op]} (a, b)"

    def slowdown(self, rates: Rates) -> float:
        """Integers have 32 bits."""
        return 1.0 if self.type == BOOL else rates.teng_wide


@dataclass(frozen=True, eq=False)
class IntegerReduce(Reducing):
    """The sum, the largest or the smallest of whole numbers over whole axes, which stay as size 1. axes: ascending."""

    spellings: ClassVar = {
        "AxIntegerReduceSum": {"op": "sum"},
        "AxIntegerReduceMax": {"op": "max"},
        "AxIntegerReduceMin": {"op": "min"},
    }
    op: str
    type: ElementType
    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        self.require_axes()
        if self.type not in INTEGERS:
            raise ConstantError(f"{self.op_type} cannot reduce {self.type}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,)

    @property
    def writes(self) -> Edge:
        return self.type

    def text(self) -> str:
        return f"""
  along = Constant <value_ints: ints = @axes> ()
  y = Reduce{self.op.capitalize()} <keepdims = 1> (x, along)"""

    def slowdown(self, rates: Rates) -> float:
        return rates.teng_wide
