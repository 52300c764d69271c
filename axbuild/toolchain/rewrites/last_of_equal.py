"""The last of equal elements, by the first of them in the other direction, which is what chips give."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes


class LastOfEqual(Rewrite[int]):
    """ArgMax(x; select_last_index = 1) -> Sub(size - 1, ArgMax(Slice(x; step -1))), and ArgMin likewise"""

    op = ("ArgMax", "ArgMin")

    def match(self, node: ir.Node) -> int | NoMatch:
        if not integer(node, "select_last_index", 0):
            return NoMatch(f"{node.op_type} gives the first of equal elements")
        return integer(node, "axis", 0) % len(shape_of(needed_input(node, 0)))

    def replace(self, node: ir.Node, found: int, steps: Steps) -> ir.Value:
        x = needed_input(node, 0)
        ends = {"starts": -1, "ends": np.iinfo(np.int64).min, "axes": found, "steps": -1}
        ranges = [steps.constant(np.array([value], np.int64), name) for name, value in ends.items()]
        turned = steps.insert("Slice", [x, *ranges], name="turned", shape=shape_of(x), dtype=x.dtype)
        kept = {name: value for name, value in attributes(node).items() if name != "select_last_index"}
        place = steps.insert(node.op_type, [turned], kept, name="place", shape=shape_of(node.outputs[0]))
        last = steps.constant(np.array(shape_of(x)[found] - 1, np.int64), "last")
        return steps.insert("Sub", [last, place])
