"""Elements that are gathered at known positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    Shape,
    constant_input,
    integer,
    is_activation,
    needed_input,
    shape_of,
    static_shape,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class Gathered:
    """positions: int64 [n] along the axis, none negative; shape: of their output before the index's own shape."""

    axis: int
    positions: Array
    shape: Shape


class GatherToSlice(Rewrite[Gathered]):
    """Gather(x, i; axis) -> Slice(x; from, to, axis, step) where i = from, from + step, ...; else Gather of i as a list

    i constant; then Reshape where i is not a list.
    """

    op = ("Gather",)

    def match(self, node: ir.Node) -> Gathered | NoMatch:
        x, index = needed_input(node, 0), constant_input(node, 1)
        if index is None or not is_activation(x):
            return NoMatch("Gather has no constant index of a computed tensor")
        shape = shape_of(x)
        axis = integer(node, "axis", 0) % len(shape)
        positions = index.reshape(-1).astype(np.int64) % shape[axis]
        if not positions.size or not shape_of(node.outputs[0]):
            return NoMatch("Gather makes a scalar, or nothing")
        if not _is_regular(positions) and index.ndim == 1 and np.all(index >= 0):
            return NoMatch("Gather has an index in no regular order")
        return Gathered(axis, positions, (*shape[:axis], positions.size, *shape[axis + 1 :]))

    def replace(self, node: ir.Node, found: Gathered, steps: Steps) -> ir.Value:
        value = _part(node, found, steps)
        shape = shape_of(node.outputs[0])
        if shape == found.shape:
            return value
        target = np.array(static_shape(found.shape, shape), np.int64)
        return steps.insert("Reshape", [value, steps.constant(target, "shape")], name="reshape")


def _part(node: ir.Node, found: Gathered, steps: Steps) -> ir.Value:
    x, positions = needed_input(node, 0), found.positions
    if not _is_regular(positions):
        index = steps.constant(positions, "index")
        return steps.insert("Gather", [x, index], {"axis": found.axis}, shape=found.shape)
    step = int(positions[1] - positions[0]) if positions.size > 1 else 1
    end = int(positions[-1]) + step
    # Below 0 an end would count from the last element.
    ends = end if end >= 0 else -shape_of(x)[found.axis] - 1
    settings = {"from": int(positions[0]), "to": ends, "axis": found.axis, "step": step}
    constants = [steps.constant(np.array([value], np.int64), name) for name, value in settings.items()]
    return steps.insert("Slice", [x, *constants], shape=found.shape)


def _is_regular(positions: Array) -> bool:
    """Whether the positions are a step apart, which is not 0."""
    steps = np.diff(positions)
    return bool(np.all(steps == steps[:1]) and np.all(steps != 0))
