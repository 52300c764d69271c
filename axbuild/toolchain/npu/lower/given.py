"""Constants that are tensors of their own, as jobs: from the parameters to the map."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Pack, Part, Work, onnx_order
from axbuild.toolchain.npu.lower.broadcast import packed_operand


def _works(kind: Given, geometry: Geometry, out: Box) -> list[Work]:
    return [Work("given", kind.job, (), Part(out, onnx_order(geometry.output)), True, NoAttr())]


def _pack(kind: Given, block: int, rank: int) -> Pack:
    return packed_operand(kind.data.astype(type_of(kind.y).carried), rank)


GIVEN = Lowering(_works, _pack)
