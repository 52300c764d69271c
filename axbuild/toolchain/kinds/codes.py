"""Element types as values: what a tensor's elements are, and what follows from it. No other module spells them out.

Codes stand for reals on a grid, real = scale (code - zero); plain types stand for themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from axbuild.errors import AxError


class TypeNameError(AxError):
    """A name of no element type."""

    code = "AX457"


@dataclass(frozen=True)
class ElementType:
    """name: the vendor's; dtype: numpy's, in ONNX graphs; onnx: number of TensorProto.DataType; coded: codes on a grid.

    carrier: numpy's name of what the NPU and its programs hold instead, where that is another type; narrow: bits of a
    code, where these are fewer than dtype has.
    """

    name: str
    dtype: str
    onnx: int
    coded: bool = False
    carrier: str = ""
    narrow: int = 0

    @property
    def carried(self) -> str:
        """numpy's name of the type on the NPU."""
        return self.carrier or self.dtype

    @property
    def bytes(self) -> int:
        """Of one element on the NPU."""
        return int(np.dtype(self.carried).itemsize)

    @property
    def bits(self) -> int:
        """Of one code; of one element in an ONNX graph, which holds narrow ones in whole bytes."""
        return self.narrow or int(np.dtype(self.dtype).itemsize) * 8

    @property
    def wide(self) -> bool:
        """Whether codes have more than 8 bits: accumulators then reach 2^52 and multipliers are float64 ratios."""
        return self.coded and self.bits > 8

    @property
    def lo(self) -> int:
        """Lowest value of an integer type."""
        return -(1 << (self.narrow - 1)) if self.narrow else int(np.iinfo(self.dtype).min)

    @property
    def hi(self) -> int:
        """Highest value of an integer type."""
        return (1 << (self.narrow - 1)) - 1 if self.narrow else int(np.iinfo(self.dtype).max)

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def span(self) -> int:
        """Steps from the lowest to the highest code; a table of the type has one entry more."""
        return self.hi - self.lo

    def __str__(self) -> str:
        return self.name


S4 = ElementType("S4", "int8", 22, coded=True, narrow=4)
U8 = ElementType("U8", "uint8", 2, coded=True)
S8 = ElementType("S8", "int8", 3, coded=True)
U16 = ElementType("U16", "uint16", 4, coded=True)
S16 = ElementType("S16", "int16", 5, coded=True)
FP32 = ElementType("FP32", "float32", 1)
INT32 = ElementType("INT32", "int32", 6)
INT64 = ElementType("INT64", "int64", 7, carrier="int32")
BOOL = ElementType("BOOL", "bool", 9, carrier="uint8")
U32 = ElementType("U32", "uint32", 12, carrier="int32")
FP16 = ElementType("FP16", "float16", 10)

CODES = (U8, S8, U16, S16)
"""what activations may be quantised to"""
WEIGHTS = (S4, S8, S16)
"""what constant weights may be quantised to"""
TYPES = (*CODES, FP32, INT32, INT64, BOOL)
"""what a tensor of a quantised model may be"""
BORDER = (*TYPES, U32, FP16)
"""what a tensor between a compiled model and its user may be"""
_BY_NAME = {item.name: item for item in (*BORDER, S4)}
_BY_ONNX = {item.onnx: item for item in BORDER}
_BY_DTYPE = {item.dtype: item for item in BORDER}


def type_named(name: str) -> ElementType:
    """The element type with the vendor's name; raises TypeNameError."""
    if name not in _BY_NAME:
        raise TypeNameError(f"There is no element type '{name}'.", hint=f"there is {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def type_numbered(onnx: int) -> ElementType | None:
    """The element type with a number of TensorProto.DataType; None where no quantised model has one."""
    found = _BY_ONNX.get(onnx)
    return found if found in TYPES else None


def border_type_numbered(onnx: int) -> ElementType | None:
    """As `type_numbered`, of a tensor that may be a compiled model's input."""
    return _BY_ONNX.get(onnx)


def type_of_dtype(dtype: str) -> ElementType:
    """The element type whose tensors numpy calls so; raises TypeNameError."""
    if dtype not in _BY_DTYPE:
        raise TypeNameError(
            f"There is no element type of the dtype '{dtype}'.", hint=f"there is {', '.join(_BY_DTYPE)}"
        )
    return _BY_DTYPE[dtype]


@dataclass(frozen=True)
class Grid:
    """real = scale (code - zero) for codes of `type`. scale: a float32 value, positive and normal."""

    scale: float
    zero: int
    type: ElementType

    @property
    def sound(self) -> bool:
        """Whether this is a grid at all: a coded type, a zero among its codes, a scale that float32 holds."""
        info = np.finfo(np.float32)
        normal = float(info.tiny) <= self.scale <= float(info.max) and self.scale == float(np.float32(self.scale))
        return bool(self.type.coded and normal and self.type.lo <= self.zero <= self.type.hi)

    @property
    def reach(self) -> int:
        """Largest |code - zero|."""
        return max(self.zero - self.type.lo, self.type.hi - self.zero)

    def code(self, real: float) -> int:
        """floor(real / scale + 0.5) + zero, saturating; infinities give the ends."""
        if math.isinf(real):
            return self.type.hi if real > 0 else self.type.lo
        return min(self.type.hi, max(self.type.lo, math.floor(real / self.scale + 0.5) + self.zero))

    def real(self, code: int) -> float:
        return self.scale * (code - self.zero)

    def __str__(self) -> str:
        return f"{self.type} of scale {self.scale:.6g} and zero {self.zero}"


Edge = Grid | ElementType
"""What the tensor between two operators is: codes on a grid, or elements of a type. A coded type without a grid stands
where codes only move and any grid will do."""


def type_of(edge: Edge) -> ElementType:
    return edge.type if isinstance(edge, Grid) else edge


def wide(*edges: Edge) -> bool:
    """Whether any of these has codes of more than 8 bits."""
    return any(type_of(edge).wide for edge in edges)


def accumulator_bound(*edges: Edge) -> int:
    """What the magnitude of an accumulator over codes of these types must stay below."""
    return 1 << 52 if wide(*edges) else 1 << 31
