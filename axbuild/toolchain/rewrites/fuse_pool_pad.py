"""Padding that a maximum can never pick into the pooling that reads it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import integer, integers, is_used, needed_input, text
from axbuild.toolchain.rewrites.fuse_pad import Padded, spatial_pads
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes

LOWEST = -65504.0
"""the lowest number of float16: padding with it, or with less, stands for minus infinity; as a number it would stretch
every quantisation grid beyond use"""


class FusePoolPad(Rewrite[Padded]):
    """MaxPool(Pad(x, p, -inf); q) -> MaxPool(x; p + q), whoever else reads the Pad"""

    op = ("MaxPool",)

    def match(self, node: ir.Node) -> Padded | NoMatch:
        pad = needed_input(node, 0).producer()
        if pad is None or pad.op_type != "Pad":
            return NoMatch("input of MaxPool is not a Pad")
        pads = spatial_pads(
            pad, lambda fill: bool(np.all(fill <= LOWEST)), "Pad fills with a value that MaxPool can pick"
        )
        if isinstance(pads, NoMatch):
            return pads
        if text(node, "auto_pad", "NOTSET") != "NOTSET" or integer(node, "ceil_mode", 0):
            return NoMatch("MaxPool has auto_pad or ceil_mode")
        if any(is_used(output) for output in node.outputs[1:]):
            return NoMatch("MaxPool says where its maxima are")
        own = integers(node, "pads", (0,) * len(pads))
        total = tuple(a + b for a, b in zip(pads, own, strict=True))
        window = integers(node, "kernel_shape", ())
        if any(size >= window[index % len(window)] for index, size in enumerate(total)):
            return NoMatch("the padding holds a whole window of MaxPool")
        return Padded(pad, total)

    def replace(self, node: ir.Node, found: Padded, steps: Steps) -> ir.Value:
        settled = {**attributes(node), "pads": list(found.pads)}
        return steps.insert("MaxPool", [found.pad.inputs[0]], settled, origins=(node, found.pad))
