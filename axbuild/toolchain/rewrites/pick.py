"""Elements at known positions, as a node."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, shape_of
from axbuild.toolchain.rewrites.rewrite import Steps


def picked(value: ir.Value, axis: int, positions: Array, steps: Steps) -> ir.Value:
    """Gather of `value` along an axis; the value itself where that is all of it in its order."""
    shape = shape_of(value)
    if np.array_equal(positions, np.arange(shape[axis])):
        return value
    index = steps.constant(positions.astype(np.int64), f"positions{axis}")
    out = (*shape[:axis], len(positions), *shape[axis + 1 :])
    return steps.insert("Gather", [value, index], {"axis": axis}, name=f"axis{axis}", shape=out, dtype=value.dtype)
