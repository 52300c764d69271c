"""Signs, which no chip has, by what all chips have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.extent import is_integer
from axbuild.toolchain.graph import needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


class SignToCompare(Rewrite[ir.Value]):
    """Sign(x) -> Sub(Cast(Greater(x, 0)), Cast(Less(x, 0))) of reals
    Sign(x) -> Min(Max(x, -1), 1) of whole numbers
    """

    op = ("Sign",)

    def match(self, node: ir.Node) -> ir.Value | NoMatch:
        x = needed_input(node, 0)
        known = is_integer(x) or x.dtype == ir.DataType.FLOAT
        return x if known else NoMatch("Sign is not of float32, int32 or int64")

    def replace(self, node: ir.Node, found: ir.Value, steps: Steps) -> ir.Value:
        kind, shape = found.dtype or ir.DataType.FLOAT, shape_of(found)
        if is_integer(found):
            low, high = (steps.constant(np.array(end, kind.numpy()), name) for end, name in ((-1, "low"), (1, "high")))
            return steps.insert("Min", [steps.insert("Max", [found, low], name="above", shape=shape), high])
        zero, sides = steps.constant(np.zeros((), np.float32), "zero"), []
        for op in ("Greater", "Less"):
            flag = steps.insert(op, [found, zero], name=op.lower(), shape=shape, dtype=ir.DataType.BOOL)
            sides.append(steps.insert("Cast", [flag], {"to": kind}, name=f"{op.lower()}.number", shape=shape))
        return steps.insert("Sub", sides)
