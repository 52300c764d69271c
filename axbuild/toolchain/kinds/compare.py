"""Comparisons of two activations by the reals that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import ConstantError, require_grids
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.kinds.codes import BOOL, Edge, Grid
from axbuild.toolchain.kinds.text import real

_OPERATORS = {
    "equal": "Equal",
    "less": "Less",
    "less_or_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_or_equal": "GreaterOrEqual",
}
"""operation -> ONNX operator"""


@dataclass(frozen=True, eq=False)
class Compare(Broadcast):
    """Whether the real of a stands in that relation to the real of b: f64(code - zero) f64(scale) of codes, float32 and
    integers as they are. |code - zero| < 2^16 and a scale has 24 bits, so that each real is exact in float64.

    A NaN stands in no relation.
    """

    spellings: ClassVar = {f"Ax{name}": {"op": op} for op, name in _OPERATORS.items()}

    op: str
    a: Edge
    b: Edge

    def __post_init__(self) -> None:
        for edge in (self.a, self.b):
            if isinstance(edge, Grid):
                require_grids(self.op_type, edge)
            elif edge.coded:
                raise ConstantError(f"{self.op_type} cannot compare codes of {edge} without a grid.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.a, self.b

    @property
    def writes(self) -> Edge:
        return BOOL

    def text(self) -> str:
        return f"""{real("left", "a", "a", self.a)}{real("right", "b", "b", self.b)}
  y = {_OPERATORS[self.op]} (left, right)"""
