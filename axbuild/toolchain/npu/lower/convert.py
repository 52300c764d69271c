"""Changes of the element type as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.codes import BOOL, Edge, Grid, type_of
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.npu.lower.attr import KernelAttr, float32_bits
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, single


@dataclass(frozen=True)
class ConvertAttr(KernelAttr):
    """Zeros and float32 scales (bit patterns) of both sides; 0 and 1.0 of what is no codes. to: "codes", "integers",
    "truth" or "reals"."""

    x_zero: int
    x_scale: int
    y_zero: int
    y_scale: int
    to: str


def scale_of(edge: Edge) -> tuple[int, int]:
    """Zero, and the bit pattern of the scale: reals and integers stand for themselves."""
    return (edge.zero, float32_bits(edge.scale)) if isinstance(edge, Grid) else (0, float32_bits(1.0))


def _attr(kind: Convert, geometry: Geometry) -> ConvertAttr:
    target = type_of(kind.y)
    integral = "truth" if target == BOOL else "reals" if target.dtype.startswith("float") else "integers"
    return ConvertAttr(*scale_of(kind.x), *scale_of(kind.y), "codes" if target.coded else integral)


CONVERT = Lowering(single("convert", _attr))
