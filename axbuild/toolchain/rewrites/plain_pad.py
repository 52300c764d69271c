"""Borders in the form that every chip takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, input_of, is_activation, needed_input, shape_of, text
from axbuild.toolchain.rewrites.pick import picked
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps

PADDED: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
"""mode of Pad that repeats elements -> numpy's name of it"""


class PlainPad(Rewrite[list[tuple[int, int]]]):
    """Pad(x; reflect, edge or wrap) -> Gather(x, positions) along each padded axis
    Pad(x; constant, pads, axes) -> Pad(Gather(x, what negative pads leave); constant, pads of all axes)
    """

    op = ("Pad",)

    def match(self, node: ir.Node) -> list[tuple[int, int]] | NoMatch:
        if any(is_activation(input_of(node, index)) for index in (1, 2, 3)):
            return NoMatch("Pad has operands that are not constant")
        x, pads, axes = needed_input(node, 0), constant_input(node, 1), constant_input(node, 3)
        mode, rank = text(node, "mode", "constant"), len(shape_of(x))
        if pads is None or mode not in ("constant", *PADDED):
            return NoMatch(f"Pad has the mode {mode}")
        if mode == "constant" and axes is None and np.all(pads >= 0):
            return NoMatch("Pad has plain pads")
        ends = [(0, 0)] * rank
        named = range(rank) if axes is None else (axes.reshape(-1) % rank).tolist()
        for place, axis in enumerate(named):
            ends[axis] = int(pads[place]), int(pads[place + len(named)])
        return ends

    def replace(self, node: ir.Node, found: list[tuple[int, int]], steps: Steps) -> ir.Value:
        value, mode = needed_input(node, 0), text(node, "mode", "constant")
        for axis, (begin, end) in enumerate(found):
            size = shape_of(value)[axis]
            kept = np.arange(size)[max(-begin, 0) : size + min(end, 0)]
            more = (max(begin, 0), max(end, 0))
            positions = np.pad(kept, more, mode=PADDED[mode]) if mode in PADDED else kept
            value = picked(value, axis, positions, steps)
        if mode in PADDED:
            return value
        pads = [max(begin, 0) for begin, _ in found] + [max(end, 0) for _, end in found]
        amounts = steps.constant(np.array(pads, np.int64), "pads")
        return steps.insert("Pad", [value, amounts, input_of(node, 2)])
