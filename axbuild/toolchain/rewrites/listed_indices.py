"""Indices of any rank as the list that chips take."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Shape, input_of, integer, is_activation, needed_input, shape_of, static_shape
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


class ListedIndices(Rewrite[Shape]):
    """Gather(x, i; axis) -> Reshape(Gather(x, Reshape(i, [-1]); axis), shape) where i is computed and no list"""

    op = ("Gather",)

    def match(self, node: ir.Node) -> Shape | NoMatch:
        index = input_of(node, 1)
        if not is_activation(index) or len(shape_of(needed_input(node, 1))) < 2:
            return NoMatch("Gather has a list of indices, or constant ones")
        shape = shape_of(node.outputs[0])
        first = shape_of(needed_input(node, 1 if _axis(node) == 0 else 0))
        return NoMatch("Gather makes nothing") if 0 in shape else static_shape(first, shape)

    def replace(self, node: ir.Node, found: Shape, steps: Steps) -> ir.Value:
        x, index, axis = needed_input(node, 0), needed_input(node, 1), _axis(node)
        count = int(np.prod(shape_of(index)))
        listed = steps.reshaped(index, (count,), "indices", target=(-1,))
        shape = (*shape_of(x)[:axis], count, *shape_of(x)[axis + 1 :])
        rows = steps.insert("Gather", [x, listed], {"axis": axis}, shape=shape)
        return steps.reshaped(rows, shape_of(node.outputs[0]), "reshape", target=found)


def _axis(node: ir.Node) -> int:
    return integer(node, "axis", 0) % len(shape_of(needed_input(node, 0)))
