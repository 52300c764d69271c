"""What the three witnesses of a kind share: cases, and the oracle in plain Python integers.

Nothing in an oracle is shared with the bodies or with the simulator's kernels: loops over elements, `//` and `>>`.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import BOOL, CODES, FP32, U8, ElementType, Grid, type_of


@dataclass(frozen=True)
class Case:
    """A kind and the ONNX shapes of its activations; integer activations that are no codes are from `least` on and stay
    below `top`."""

    name: str
    kind: Kind
    shapes: tuple[Shape, ...]
    top: int = 8
    least: int = 0

    def inputs(self) -> list[np.ndarray]:
        """Activations that depend on nothing but the case's name."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        types = [type_of(edge) for edge in self.kind.reads]
        return [values(rng, kind, shape, self.top, self.least) for kind, shape in zip(types, self.shapes, strict=True)]

    def __str__(self) -> str:
        return f"{self.kind.op_type} {self.kind.overload} {self.name}"


def values(rng: np.random.Generator, kind: ElementType, shape: Shape, top: int, least: int = 0) -> np.ndarray:
    """Elements of a type: all codes, hard reals, small integers."""
    if kind == FP32:
        return reals(rng, shape)
    if kind == BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    lo, hi = (kind.lo, kind.hi) if kind.coded else (least, top - 1)
    return rng.integers(lo, hi + 1, shape).astype(kind.dtype)


def reals(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """float32 with ties, huge values, infinities and a NaN among ordinary ones."""
    x = rng.normal(0, 40, shape).astype(np.float32)
    flat = x.reshape(-1)
    special = np.array([np.nan, np.inf, -np.inf, 0.25, -0.25, 1e38, -1e38, 1e-40, -0.0, 31.875], np.float32)
    flat[: len(special)] = special[: flat.size]
    return x


def grid(scale: float, zero: int | None = None, kind: ElementType = U8) -> Grid:
    """A grid whose scale float32 holds; without a zero, one off the middle of the codes."""
    middle = (kind.lo + kind.hi) // 2 - kind.span // 17
    return Grid(float(np.float32(scale)), middle if zero is None else zero, kind)


def pairs(kinds: tuple[ElementType, ...] = CODES) -> list[tuple[ElementType, ElementType]]:
    """Every type with itself, and the mixtures that matter: narrow with wide, signed with unsigned."""
    return [(a, b) for a in kinds for b in kinds]


def requantised(acc: int, multiplier: float, y: Grid, lo: int, hi: int, wide: bool) -> int:
    """8 bits: clamp(zero + ((acc m + 2^(t-1)) >> t)), m 2^-t from the float's own exact ratio. Wide: the same of the
    product f64(acc) M as float64 rounds it, and of that plus one half."""
    if not wide:
        numerator, denominator = float(multiplier).as_integer_ratio()
        return clamp(y.zero + (2 * acc * numerator + denominator) // (2 * denominator), lo, hi)
    raised = float(acc) * float(multiplier) + 0.5
    numerator, denominator = raised.as_integer_ratio()
    return clamp(y.zero + numerator // denominator, lo, hi)


def clamp(value: int, lo: int, hi: int) -> int:
    return max(lo, min(hi, value))


def float32(value: float) -> float:
    """Nearest float32; one operation on float32 values in float64, then this, rounds once (53 >= 2 x 24 + 2)."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def positions(shape):
    return itertools.product(*(range(size) for size in shape))


@singledispatch
def oracle(kind: Kind, *inputs: np.ndarray) -> np.ndarray:
    """The output of a kind for its activations, in ONNX order; each noun's module registers its own."""
    raise NotImplementedError(type(kind).__name__)


def each(kind: Kind, function, *inputs: np.ndarray) -> np.ndarray:
    """Output of the kind's own shape and type, element by element: function(position)."""
    y = np.zeros(kind.output_shape(*(x.shape for x in inputs)), type_of(kind.writes).dtype)
    for at in positions(y.shape):
        y[at] = function(at)
    return y
