"""Elements by positions that are computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.indexed import PickAttr, PickPartsAttr, PutAttr, PutPartsAttr
from axbuild.toolchain.npu.simulator.base import Kernel, ValueRangeError


def positions(index: Array, size: int) -> Array:
    """The index as positions along an axis of that size; ValueRangeError where it has none."""
    outside = index[(index < -size) | (index >= size)]
    if outside.size:
        raise ValueRangeError(f"the index {outside.flat[0]} names none of {size} positions")
    return np.where(index < 0, index + size, index)


def pick(sources: list[Array], targets: list[Array], attr: PickAttr) -> None:
    """y = x[.., index, ..]"""
    x, index = sources
    targets[0][...] = np.take(x, positions(index, x.shape[attr.axis]), axis=attr.axis)


def pick_elements(sources: list[Array], targets: list[Array], attr: PickAttr) -> None:
    """y[i] = x[i with index[i] along the axis]"""
    x, index = sources
    targets[0][...] = x[_places(index, x.shape, attr.axis)]


def pick_parts(sources: list[Array], targets: list[Array], attr: PickPartsAttr) -> None:
    """y[lead, i] = x[lead, index[lead, i]]"""
    x, index = sources
    lead = np.ogrid[tuple(slice(size) for size in x.shape[: attr.lead])]
    after = index.ndim - 1 - attr.lead
    shared = [axis.reshape(axis.shape + (1,) * after) for axis in lead]
    targets[0][...] = x[(*shared, *_columns(index, x.shape[attr.lead :]))]


def put_elements(sources: list[Array], targets: list[Array], attr: PutAttr) -> None:
    """x, and in it the updates at index along the axis"""
    x, index, updates = sources
    _put(x, _places(index, x.shape, attr.axis), updates, attr.reduction, targets[0])


def put_parts(sources: list[Array], targets: list[Array], attr: PutPartsAttr) -> None:
    """x, and in it the updates at index"""
    x, index, updates = sources
    _put(x, _columns(index, x.shape), updates, attr.reduction, targets[0])


_REDUCTIONS: dict[str, Any] = {"max": np.maximum, "min": np.minimum, "add": np.add, "mul": np.multiply}


def _put(x: Array, places: tuple[Array, ...], updates: Array, reduction: str, y: Array) -> None:
    made = x.copy()
    if reduction == "none":
        made[places] = updates
    else:
        _REDUCTIONS[reduction].at(made, places, updates)
    y[...] = made


def _places(index: Array, shape: tuple[int, ...], axis: int) -> tuple[Array, ...]:
    """For each element of the index, where it points."""
    own: list[Array] = list(np.ogrid[tuple(slice(size) for size in index.shape)])
    own[axis] = positions(index, shape[axis])
    return tuple(own)


def _columns(index: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """The last axis of the index as positions along so many first axes."""
    return tuple(positions(index[..., k], shape[k]) for k in range(index.shape[-1]))


PICK = Kernel(pick, 2, PickAttr)
PICK_ELEMENTS = Kernel(pick_elements, 2, PickAttr)
PICK_PARTS = Kernel(pick_parts, 2, PickPartsAttr)
PUT_ELEMENTS = Kernel(put_elements, 3, PutAttr)
PUT_PARTS = Kernel(put_parts, 3, PutPartsAttr)
