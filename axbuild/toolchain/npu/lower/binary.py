"""Arithmetic on two activations that are codes, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Lowering
from axbuild.toolchain.npu.lower.broadcast import broadcasting


@dataclass(frozen=True)
class BinaryAttr(KernelAttr):
    """Zeros of the three grids, factors of centred operands, the multiplier m 2^-t of what they make, the clamp."""

    a_zero: int
    b_zero: int
    y_zero: int
    a_factor: int
    b_factor: int
    m: int
    t: int
    lo: int
    hi: int


def _attr(kind: Binary) -> BinaryAttr:
    m, t = mantissa(kind.multiplier)
    zeros = kind.a.zero, kind.b.zero, kind.y.zero
    return BinaryAttr(*zeros, kind.a_factor, kind.b_factor, m, t, kind.lo, kind.hi)


BINARY = Lowering(broadcasting(lambda kind: str(kind.op), _attr))
