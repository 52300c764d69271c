"""Choices between two activations as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.select import Select
from axbuild.toolchain.npu.lower.attr import KernelAttr, NoAttr, mantissa
from axbuild.toolchain.npu.lower.base import Lowering
from axbuild.toolchain.npu.lower.broadcast import broadcasting


@dataclass(frozen=True)
class SelectAttr(KernelAttr):
    """Zeros of the three grids, the multipliers m 2^-t that bring a and b to the grid of y, the clamp."""

    a_zero: int
    b_zero: int
    y_zero: int
    a_m: int
    a_t: int
    b_m: int
    b_t: int
    lo: int
    hi: int


def _attr(kind: Select) -> SelectAttr:
    zeros = kind.a.zero, kind.b.zero, kind.y.zero
    return SelectAttr(*zeros, *mantissa(kind.a_multiplier), *mantissa(kind.b_multiplier), kind.lo, kind.hi)


SELECT = Lowering(broadcasting(lambda kind: str(kind.op), _attr))
CHOOSE = Lowering(broadcasting(lambda kind: "choose", lambda kind: NoAttr()))
