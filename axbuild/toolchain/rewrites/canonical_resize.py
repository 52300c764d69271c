"""One spelling for every Resize that repeats pixels."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, needed_input, shape_of, text
from axbuild.toolchain.kinds.places import PLACES, ROUNDINGS, nearest
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

PLACE, ROUNDING = "half_pixel", "round_prefer_ceil"
"""the one that every chip takes"""


class CanonicalResize(Rewrite[tuple[int, ...]]):
    """Resize(x; nearest, any rule) -> Resize(x; nearest, half_pixel, round_prefer_ceil) by the same whole numbers,

    where both take the same pixels, such as asymmetric with floor.
    """

    op = ("Resize",)

    def match(self, node: ir.Node) -> tuple[int, ...] | NoMatch:
        if text(node, "mode", "nearest") != "nearest":
            return NoMatch("Resize interpolates")
        rules = (
            text(node, "coordinate_transformation_mode", "half_pixel"),
            text(node, "nearest_mode", "round_prefer_floor"),
        )
        if rules == (PLACE, ROUNDING):
            return NoMatch("Resize is in canonical form")
        if rules[0] not in PLACES or rules[1] not in ROUNDINGS:
            return NoMatch(f"Resize places pixels by {rules[0]} and {rules[1]}")
        x, y = shape_of(needed_input(node, 0)), shape_of(node.outputs[0])
        scales = constant_input(node, 2)
        whole = scales is None or not np.any(scales % 1)
        if not whole or any(out % size for size, out in zip(x, y, strict=True)):
            return NoMatch("Resize is not by whole numbers")
        pairs = {(size, out) for size, out in zip(x, y, strict=True) if size != out}
        if any(nearest(*pair, *rules) != nearest(*pair, PLACE, ROUNDING) for pair in pairs):
            return NoMatch("Resize takes other pixels than half_pixel with round_prefer_ceil does")
        return tuple(out // size for size, out in zip(x, y, strict=True))

    def replace(self, node: ir.Node, found: tuple[int, ...], steps: Steps) -> ir.Value:
        scales = steps.constant(np.array(found, np.float32), "scales")
        rules = {"mode": "nearest", "coordinate_transformation_mode": PLACE, "nearest_mode": ROUNDING}
        return steps.insert("Resize", [node.inputs[0], None, scales], rules)
