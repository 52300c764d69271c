"""Arithmetic on reals, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.island import FloatBinary, FloatClip
from axbuild.toolchain.npu.lower.attr import KernelAttr, NoAttr, float32_bits
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, single
from axbuild.toolchain.npu.lower.broadcast import broadcasting


@dataclass(frozen=True)
class FloatClipAttr(KernelAttr):
    """Bit patterns of the float32 ends."""

    lo_bits: int
    hi_bits: int


def _binary(kind: FloatBinary) -> NoAttr:
    return NoAttr()


def _clip(kind: FloatClip, geometry: Geometry) -> FloatClipAttr:
    return FloatClipAttr(float32_bits(kind.lo), float32_bits(kind.hi))


FLOAT_BINARY = Lowering(broadcasting(lambda kind: f"float_{kind.op}", _binary))
FLOAT_CLIP = Lowering(single("float_clip", _clip))
