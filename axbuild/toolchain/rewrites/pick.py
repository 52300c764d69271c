"""Elements at known positions, as a node."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, shape_of
from axbuild.toolchain.rewrites.rewrite import Edit


def picked(node: ir.Node, value: ir.Value, axis: int, positions: Array, edit: Edit) -> ir.Value:
    """Gather of `value` along an axis before `node`; the value itself where that is all of it in its order."""
    shape = shape_of(value)
    if np.array_equal(positions, np.arange(shape[axis])):
        return value
    index = edit.initializer(positions.astype(np.int64), f"{node.name}.positions{axis}")
    out = (*shape[:axis], len(positions), *shape[axis + 1 :])
    name = f"{node.name}.axis{axis}"
    result = edit.insert(node, "Gather", [value, index], {"axis": axis}, name=name, shape=out, origins=(node,))
    result.type = value.type
    return result
