"""Arithmetic on reals: float32 in and out, every operation one IEEE operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import ANY_RANK, Constant, ConstantError
from axbuild.toolchain.kinds.broadcast import Broadcast
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import fenced
from axbuild.toolchain.kinds.with_constant import BesideConstant

_OPERATORS = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
"""operation of one rounding -> ONNX operator"""
_RELATIONS = {"max": "Greater", "min": "Less"}
"""choice -> what the first must be to be taken"""


@dataclass(frozen=True, eq=False)
class FloatBinary(Broadcast):
    """a op b in float32, rounded once, or a where it is larger (smaller), else b, a zero being positive.

    Infinities and NaN are as IEEE 754 has them (a NaN's sign and payload are not defined), subnormal numbers kept.
    """

    spellings: ClassVar = {
        "AxAdd": {"op": "add"},
        "AxSub": {"op": "sub"},
        "AxMul": {"op": "mul"},
        "AxDiv": {"op": "div"},
        "AxMax": {"op": "max"},
        "AxMin": {"op": "min"},
    }

    op: str

    @property
    def reads(self) -> tuple[Edge, ...]:
        return FP32, FP32

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        if self.op in _RELATIONS:
            return f"""
  first = {_RELATIONS[self.op]} (a, b)
  y = Where (first, a, b)"""
        return fenced("y", _OPERATORS[self.op], "a", "b")


@dataclass(frozen=True, eq=False)
class FloatWithConstant(BesideConstant):
    """x op constant in float32, rounded once: add, mul, div; the constant less x, or over x: from, over; x where it is
    not below 0, else x constant: slope, a zero being positive."""

    spellings: ClassVar = {
        "AxAddConstant": {"op": "add"},
        "AxMulConstant": {"op": "mul"},
        "AxDivConstant": {"op": "div"},
        "AxConstantSub": {"op": "from"},
        "AxConstantDiv": {"op": "over"},
        "AxPRelu": {"op": "slope"},
    }

    op: str
    constant: Annotated[Array, Constant((FP32.dtype,), ANY_RANK)]

    def __post_init__(self) -> None:
        if not self.constant.size:
            raise ConstantError(f"{self.op_type} has an empty constant.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        match self.op:
            case "from":
                return fenced("y", "Sub", "constant", "x")
            case "over":
                return fenced("y", "Div", "constant", "x")
            case "slope":
                return f"""{fenced("sloped", "Mul", "x", "constant")}
  none = Constant <value = float {{0.0}}> ()
  below = Less (x, none)
  y = Where (below, sloped, x)"""
        return fenced("y", _OPERATORS[self.op], "x", "constant")


@dataclass(frozen=True, eq=False)
class FloatClip(Elementwise):
    """lo where x < lo, hi where x > hi, else x: NaN stays NaN and a zero keeps its sign.

    lo <= hi: float32 values; a zero among them is the positive one, since onnxruntime's Where drops the other's sign.
    """

    spellings: ClassVar = {"AxClip": {}}
    job: ClassVar[str] = "eltwise"

    lo: float
    hi: float

    def __post_init__(self) -> None:
        for name in ("lo", "hi"):
            object.__setattr__(self, name, getattr(self, name) + 0.0)
        single = all(float(np.float32(end)) == end for end in (self.lo, self.hi))
        if not single or self.lo > self.hi:
            raise ConstantError(f"The clamp {self.lo!r}..{self.hi!r} of {self.op_type} is no range of float32.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    def text(self) -> str:
        return """
  lowest = Constant <value_float: float = @lo> ()
  highest = Constant <value_float: float = @hi> ()
  below = Less (x, lowest)
  above = Greater (x, highest)
  raised = Where (below, lowest, x)
  y = Where (above, highest, raised)"""
