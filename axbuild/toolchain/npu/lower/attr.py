"""The constants of a kernel: one dataclass a kernel, written by lowering and read by the simulator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_type_hints

import numpy as np

from axbuild.toolchain.npu.program.form import AttrValue, ProgramError


@dataclass(frozen=True)
class KernelAttr:
    """Base: the fields of a subclass are int, str or tuple[int, ...], which is all that a program holds."""

    def plain(self) -> dict[str, AttrValue]:
        """Name -> value, as a job carries them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def read(cls, plain: Mapping[str, AttrValue]) -> Self:
        """The inverse; raises ProgramError where a name is missing, unknown or of another type."""
        types = get_type_hints(cls)
        for name in sorted(types.keys() ^ plain.keys()):
            known = "missing" if name in types else "unknown"
            raise ProgramError(f"attribute '{name}' is {known}")
        for name, value in plain.items():
            if not _fits(types[name], value):
                raise ProgramError(f"attribute '{name}' is {value!r:.60}")
        values: dict[str, Any] = dict(plain)
        return cls(**values)


def _fits(expected: Any, value: AttrValue) -> bool:
    return isinstance(value, expected) if isinstance(expected, type) else isinstance(value, tuple)


@dataclass(frozen=True)
class NoAttr(KernelAttr):
    """Of a kernel whose operands say everything."""


def mantissa(multiplier: float) -> tuple[int, int]:
    """(m, t) with multiplier = m 2^-t exactly, for any finite float64; m is odd or 0."""
    numerator, denominator = multiplier.as_integer_ratio()
    shift = denominator.bit_length() - 1
    while numerator and not numerator & 1:
        numerator, shift = numerator >> 1, shift - 1
    return numerator, shift


def scaled(m: int, t: int) -> float:
    """The float64 m 2^-t; raises ProgramError where there is none."""
    try:
        value = math.ldexp(m, -t)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ProgramError(f"{m} 2^{-t} is no number")
    return value


def float32_bits(value: float) -> int:
    """The bit pattern of a float32 value."""
    return int(np.array([value], "<f4").view("<u4")[0])


def bits_float32(bits: int) -> np.float32:
    """The float32 of a bit pattern; raises ProgramError where it has more than 32 bits."""
    if not 0 <= bits < 1 << 32:
        raise ProgramError(f"{bits} is no bit pattern of a float32")
    value: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return value
