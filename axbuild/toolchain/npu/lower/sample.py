"""Pixels at computed coordinates, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.sample import FloatSample, Sample
from axbuild.toolchain.npu.lower.attr import KernelAttr, mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, onnx_order, sources


@dataclass(frozen=True)
class SampleAttr(KernelAttr):
    """nearest, border, corners: 0 or 1; m 2^-t: the multiplier; x_zero, y_zero: codes of 0.0; lo, hi: the clamp."""

    nearest: int
    border: int
    corners: int
    m: int
    t: int
    x_zero: int
    y_zero: int
    lo: int
    hi: int


@dataclass(frozen=True)
class FloatSampleAttr(KernelAttr):
    """nearest, border, corners: 0 or 1."""

    nearest: int
    border: int
    corners: int


def _floats(kind: FloatSample, geometry: Geometry, out: Box) -> list[Work]:
    attr = FloatSampleAttr(int(kind.mode == "nearest"), int(kind.padding == "border"), kind.corners)
    target = Part(out, onnx_order(geometry.output))
    return [Work("float_sample", kind.job, sources(kind, geometry, out, ordered=True), target, False, attr)]


def _works(kind: Sample, geometry: Geometry, out: Box) -> list[Work]:
    how = int(kind.mode == "nearest"), int(kind.padding == "border"), kind.corners
    attr = SampleAttr(*how, *mantissa(kind.multiplier), kind.x.zero, kind.y.zero, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work("sample", kind.job, sources(kind, geometry, out, ordered=True), target, False, attr)]


FLOAT_SAMPLE = Lowering(_floats)
SAMPLE = Lowering(_works)
