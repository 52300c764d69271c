"""Means, sums and extremes over maps of one spatial axis that were maps of two."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, needed_input, shape_of
from axbuild.toolchain.rewrites.lift_line import is_squeezed
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps

EXTREMES = ("ReduceMax", "ReduceMin")


class LiftReduction(Rewrite[tuple[int, ...]]):
    """ReduceMean(Squeeze(x), axes) -> Reshape(ReduceMean(x, axes)), [n, c, l] as [n, c, l, 1]; likewise the others"""

    op = ("ReduceMean", "ReduceSum", *EXTREMES)
    is_needed = False

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        source, axes = needed_input(node, 0), constant_input(node, 1)
        if not is_squeezed(source):
            return NoMatch(f"{node.op_type} reads what was not squeezed")
        if axes is None or not axes.size or not shape_of(node.outputs[0]):
            return NoMatch(f"{node.op_type} has no constant axes, or makes a scalar")
        return tuple(sorted(int(axis) % len(shape_of(source)) for axis in axes.reshape(-1)))

    def replace(self, node: ir.Node, found: tuple[int, ...], steps: Steps) -> ir.Value:
        squeeze = needed_input(node, 0).producer()
        if squeeze is None:
            raise ValueError(f"nothing computes what '{node.name}' reads")
        source = needed_input(squeeze, 0)
        axes = steps.constant(np.array(found, np.int64), "axes")
        shape = tuple(1 if axis in found else size for axis, size in enumerate(shape_of(source)))
        reduced = steps.insert(node.op_type, [source, axes], {"keepdims": 1}, shape=shape)
        return steps.reshaped(reduced, shape_of(node.outputs[0]), "squeezed")

    def rounding(self, node: ir.Node, found: tuple[int, ...]) -> Rounding:
        if node.op_type in EXTREMES:
            return EXACT
        source = needed_input(node, 0)
        count = math.prod(shape_of(source)[axis] for axis in found)
        return Rounding(count, ((source, 1.0 if node.op_type == "ReduceMean" else float(count)),))
