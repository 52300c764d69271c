"""Comparisons as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.compare import Compare
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Lowering
from axbuild.toolchain.npu.lower.broadcast import broadcasting
from axbuild.toolchain.npu.lower.convert import scale_of


@dataclass(frozen=True)
class CompareAttr(KernelAttr):
    """Zeros and float32 scales (bit patterns) of both operands; 0 and 1.0 of what is no codes."""

    a_zero: int
    a_scale: int
    b_zero: int
    b_scale: int


def _attr(kind: Compare) -> CompareAttr:
    return CompareAttr(*scale_of(kind.a), *scale_of(kind.b))


COMPARE = Lowering(broadcasting(lambda kind: str(kind.op), _attr))
