"""Means over height and width are global pooling."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


class MeanToPool(Rewrite[bool]):
    """ReduceMean(x; axes = [2, 3]) -> GlobalAveragePool(x), then Reshape where the axes are not kept; rank 4"""

    op = ("ReduceMean",)

    def match(self, node: ir.Node) -> bool | NoMatch:
        source = needed_input(node, 0)
        if len(shape_of(source)) != 4:
            return NoMatch("ReduceMean is not over a tensor of rank 4")
        if source.dtype != ir.DataType.FLOAT:
            return NoMatch("ReduceMean is not of float32")
        axes = constant_input(node, 1)
        if axes is None or sorted(int(axis) % 4 for axis in axes.reshape(-1)) != [2, 3]:
            return NoMatch("ReduceMean is not over height and width")
        return bool(integer(node, "keepdims", 1))

    def replace(self, node: ir.Node, found: bool, steps: Steps) -> ir.Value:
        batch, channels = shape_of(needed_input(node, 0))[:2]
        if found:
            return steps.insert("GlobalAveragePool", [node.inputs[0]])
        pooled = steps.insert("GlobalAveragePool", [node.inputs[0]], shape=(batch, channels, 1, 1))
        shape = steps.constant(np.array([-1, channels], dtype=np.int64), "shape")
        return steps.insert("Reshape", [pooled, shape], name="reshape")

    def rounding(self, node: ir.Node, found: bool) -> Rounding:
        source = needed_input(node, 0)
        return Rounding(math.prod(shape_of(source)[2:]), ((source, 1.0),))
