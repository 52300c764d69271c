"""Zero padding into the convolution that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    has_one_reader,
    input_of,
    integers,
    is_constant,
    needed_input,
    text,
)
from axbuild.toolchain.rewrites.affine import order_of_sums
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class Padded:
    """The Pad node and the sums of its pads and the convolution's: top, left, ..., bottom, right."""

    pad: ir.Node
    pads: tuple[int, ...]


class FusePad(Rewrite[Padded]):
    """Conv(Pad(x, p, 0); q) -> Conv(x; p + q)"""

    op = ("Conv",)
    is_needed = False

    def match(self, node: ir.Node) -> Padded | NoMatch:
        value = needed_input(node, 0)
        pad = value.producer()
        if pad is None or pad.op_type != "Pad":
            return NoMatch("input of Conv is not a Pad")
        if not has_one_reader(value):
            return NoMatch("Pad output has another reader")
        if not is_constant(node.inputs[1]):
            return NoMatch("Conv weights are not constant")
        pads = spatial_pads(pad, lambda fill: not np.any(fill), "Pad fills with another value than zero")
        if isinstance(pads, NoMatch):
            return pads
        if text(node, "auto_pad", "NOTSET") != "NOTSET":
            return NoMatch("Conv has auto_pad")
        own = integers(node, "pads", (0,) * len(pads))
        return Padded(pad, tuple(a + b for a, b in zip(pads, own, strict=True)))

    def replace(self, node: ir.Node, found: Padded, steps: Steps) -> ir.Value:
        settled = {**attributes(node), "pads": list(found.pads)}
        inputs = [found.pad.inputs[0], *node.inputs[1:]]
        return steps.insert("Conv", inputs, settled, origins=(node, found.pad))

    def rounding(self, node: ir.Node, found: Padded) -> Rounding:
        return order_of_sums(node, needed_input(found.pad, 0))


def spatial_pads(pad: ir.Node, accepts: Callable[[Array], bool], otherwise: str) -> tuple[int, ...] | NoMatch:
    """Pads of the spatial axes, all begins first; `otherwise` is the reason where `accepts` refuses the filling."""
    if text(pad, "mode", "constant") != "constant":
        return NoMatch("Pad repeats pixels")
    fill = constant_input(pad, 2) if input_of(pad, 2) is not None else np.zeros(())
    amounts = constant_input(pad, 1)
    if amounts is None or fill is None or input_of(pad, 3) is not None:
        return NoMatch("Pad has operands that are not constant, or names axes")
    if not accepts(fill):
        return NoMatch(otherwise)
    begins, ends = np.split(amounts, 2)
    if np.any(amounts < 0) or np.any(begins[:2]) or np.any(ends[:2]):
        return NoMatch("Pad crops, or pads the batch or the channels")
    return tuple(int(item) for item in (*begins[2:], *ends[2:]))
