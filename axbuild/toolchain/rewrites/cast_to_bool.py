"""Truth values of numbers by a comparison, which more chips have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

NUMBERS = (ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64)


class CastToBool(Rewrite[ir.Value]):
    """Cast(x; to = bool) -> Not(Equal(x, 0)), for float32, int32 and int64"""

    op = ("Cast",)

    def match(self, node: ir.Node) -> ir.Value | NoMatch:
        x = node.inputs[0]
        if x is None or x.dtype not in NUMBERS or integer(node, "to", 0) != ir.DataType.BOOL:
            return NoMatch("Cast does not make truth values of numbers")
        return x

    def replace(self, node: ir.Node, found: ir.Value, steps: Steps) -> ir.Value:
        kind = (found.dtype or ir.DataType.FLOAT).numpy()
        zero = steps.constant(np.zeros((), kind), "zero")
        shape = shape_of(found)
        equal = steps.insert("Equal", [found, zero], name="equal", shape=shape)
        return steps.insert("Not", [equal])
