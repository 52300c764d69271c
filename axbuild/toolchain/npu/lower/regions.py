"""Regions of a map, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.regions import Regions
from axbuild.toolchain.npu.lower.attr import KernelAttr, float32_bits, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, onnx_order, sources


@dataclass(frozen=True)
class RegionsAttr(KernelAttr):
    """samples: along an axis of a bin; scale_bits: of a float32; half: 0 or 1; m 2^-t: the multiplier; x_zero, y_zero:
    codes of 0.0; lo, hi: the clamp."""

    samples: int
    scale_bits: int
    half: int
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


def _works(kind: Regions, geometry: Geometry, out: Box) -> list[Work]:
    how = kind.samples, float32_bits(kind.scale), kind.half
    attr = RegionsAttr(*how, *mantissa(kind.multiplier), kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work("regions", kind.job, sources(kind, geometry, out, ordered=True), target, False, attr)]


REGIONS = Lowering(_works)
