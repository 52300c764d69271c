"""Zero padding into the convolution that reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import NoMatch, Rewrite, attributes, constant, insert, ints, only_reader


@dataclass(frozen=True)
class Padded:
    """The Pad node and the sums of its pads and the convolution's: top, left, ..., bottom, right."""

    pad: ir.Node
    pads: tuple[int, ...]


class FusePad(Rewrite[Padded]):
    """Conv(Pad(x, p, 0); q) -> Conv(x; p + q)"""

    op = ("Conv",)
    tolerance = 1e-6

    def match(self, node: ir.Node) -> Padded | NoMatch:
        value = node.inputs[0]
        pad = value.producer() if value is not None else None
        if value is None or pad is None or pad.op_type != "Pad":
            return NoMatch("input of Conv is not a Pad")
        if not only_reader(value):
            return NoMatch("Pad output has another reader")
        pads = self._zero_pads(pad)
        if isinstance(pads, NoMatch):
            return pads
        if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
            return NoMatch("Conv has auto_pad")
        own = ints(node, "pads", (0,) * len(pads))
        return Padded(pad, tuple(a + b for a, b in zip(pads, own, strict=True)))

    def _zero_pads(self, pad: ir.Node) -> tuple[int, ...] | NoMatch:
        """Pads of the spatial axes, all begins first."""
        if pad.attributes.get_string("mode", "constant") != "constant":
            return NoMatch("Pad repeats pixels")
        given = pad.inputs[2] if len(pad.inputs) > 2 else None
        fill = constant(given) if given is not None else np.zeros(())
        amounts = constant(pad.inputs[1])
        if amounts is None or fill is None or len(pad.inputs) > 3:
            return NoMatch("Pad has operands that are not constant, or names axes")
        if np.any(fill != 0):
            return NoMatch("Pad fills with another value than zero")
        begins, ends = np.split(amounts, 2)
        if np.any(amounts < 0) or np.any(begins[:2]) or np.any(ends[:2]):
            return NoMatch("Pad crops, or pads the batch or the channels")
        return tuple(int(item) for item in (*begins[2:], *ends[2:]))

    def replace(self, node: ir.Node, found: Padded) -> ir.Value:
        settled = {**attributes(node), "pads": list(found.pads)}
        inputs = [found.pad.inputs[0], *node.inputs[1:]]
        return insert(node, "Conv", inputs, settled, name=node.name or "", origins=(node, found.pad))
