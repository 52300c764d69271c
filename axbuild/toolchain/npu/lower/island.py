"""Arithmetic on reals, as jobs."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.float_function import FloatFunction
from axbuild.toolchain.kinds.float_softmax import FloatSoftmax
from axbuild.toolchain.kinds.island import FloatBinary, FloatClip, FloatWithConstant
from axbuild.toolchain.npu.lower.attr import KernelAttr, NoAttr, float32_bits
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, channel_axis, onnx_order, single, sources
from axbuild.toolchain.npu.lower.broadcast import broadcasting
from axbuild.toolchain.npu.lower.with_constant import pack_constant


@dataclass(frozen=True)
class FloatClipAttr(KernelAttr):
    """Bit patterns of the float32 ends."""

    lo_bits: int
    hi_bits: int


@dataclass(frozen=True)
class FloatFunctionAttr(KernelAttr):
    """function: its name; bit patterns of its float32 numbers."""

    function: str
    alpha_bits: int
    beta_bits: int


@dataclass(frozen=True)
class FloatSoftmaxAttr(KernelAttr):
    """axis: in memory."""

    axis: int


def _binary(kind: FloatBinary) -> NoAttr:
    return NoAttr()


def _clip(kind: FloatClip, geometry: Geometry) -> FloatClipAttr:
    return FloatClipAttr(float32_bits(kind.lo), float32_bits(kind.hi))


def _function(kind: FloatFunction, geometry: Geometry) -> FloatFunctionAttr:
    return FloatFunctionAttr(kind.function, float32_bits(kind.alpha), float32_bits(kind.beta))


def _softmax(kind: FloatSoftmax, geometry: Geometry, out: Box) -> list[Work]:
    attr = FloatSoftmaxAttr(channel_axis(kind.axis, geometry))
    return [Work(f"float_softmax_{kind.op}", kind.job, sources(kind, geometry, out), Part(out), False, attr)]


def _with_constant(kind: FloatWithConstant, geometry: Geometry, out: Box) -> list[Work]:
    target = Part(out, onnx_order(geometry.output))
    read = sources(kind, geometry, out, ordered=True)
    return [Work(f"float_{kind.op}", kind.job, read, target, True, NoAttr())]


FLOAT_BINARY = Lowering(broadcasting(lambda kind: f"float_{kind.op}", _binary))
FLOAT_CLIP = Lowering(single("float_clip", _clip))
FLOAT_FUNCTION = Lowering(single("float_function", _function))
FLOAT_SOFTMAX = Lowering(_softmax)
FLOAT_WITH_CONSTANT = Lowering(_with_constant, pack_constant)
