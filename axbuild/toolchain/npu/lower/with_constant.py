"""Arithmetic on one activation and a constant, as jobs of the kernels for two activations."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.with_constant import BesideConstant, WithConstant
from axbuild.toolchain.npu.lower.attr import mantissa
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, onnx_order, sources
from axbuild.toolchain.npu.lower.binary import BinaryAttr
from axbuild.toolchain.npu.lower.broadcast import packed_operand


def _works(kind: WithConstant, geometry: Geometry, out: Box) -> list[Work]:
    m, t = mantissa(kind.multiplier)
    attr = BinaryAttr(kind.x.zero, 0, kind.y.zero, kind.factor, 1, m, t, kind.lo, kind.hi)
    target = Part(out, onnx_order(geometry.output))
    return [Work(kind.op, kind.job, sources(kind, geometry, out, ordered=True), target, True, attr)]


def pack_constant(kind: BesideConstant, block: int, rank: int) -> Pack:
    return packed_operand(kind.constant, rank)


WITH_CONSTANT = Lowering(_works, pack_constant)
