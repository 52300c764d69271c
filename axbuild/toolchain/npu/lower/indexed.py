"""Elements by positions that are computed, as jobs: one a part, every operand in ONNX order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.kinds.indexed import Indexed, Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.npu.lower.attr import KernelAttr
from axbuild.toolchain.npu.lower.base import Geometry, Lowering, Part, Work, onnx_order, sources


@dataclass(frozen=True)
class PickAttr(KernelAttr):
    """axis: that the positions lie along."""

    axis: int


@dataclass(frozen=True)
class PickPartsAttr(KernelAttr):
    """lead: axes that data and positions share."""

    lead: int


@dataclass(frozen=True)
class PutAttr(KernelAttr):
    """axis: that the positions lie along; reduction: what becomes of an element that another is put over."""

    axis: int
    reduction: str


@dataclass(frozen=True)
class PutPartsAttr(KernelAttr):
    """reduction: as of PutAttr."""

    reduction: str


def _lowering(kernel: str, attr: Callable[[Any], KernelAttr]) -> Lowering:
    def works(kind: Indexed, geometry: Geometry, out: Box) -> list[Work]:
        read = sources(kind, geometry, out, ordered=True)
        return [Work(kernel, kind.job, read, Part(out, onnx_order(geometry.output)), False, attr(kind))]

    return Lowering(works)


def _pick(kind: Pick | PickElements) -> PickAttr:
    return PickAttr(kind.axis)


def _pick_parts(kind: PickParts) -> PickPartsAttr:
    return PickPartsAttr(kind.lead)


def _put(kind: PutElements) -> PutAttr:
    return PutAttr(kind.axis, kind.reduction)


def _put_parts(kind: PutParts) -> PutPartsAttr:
    return PutPartsAttr(kind.reduction)


PICK = _lowering("pick", _pick)
PICK_ELEMENTS = _lowering("pick_elements", _pick)
PICK_PARTS = _lowering("pick_parts", _pick_parts)
PUT_ELEMENTS = _lowering("put_elements", _put)
PUT_PARTS = _lowering("put_parts", _put_parts)
