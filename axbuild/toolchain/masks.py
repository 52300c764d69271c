"""A Where that hides elements of a Softmax right behind it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_input, is_activation, needed_input, shape_of

HIDDEN = -1e4
"""a constant of this or less stands for nothing: in front of a Softmax it hides an element"""


def hiding_side(node: ir.Node) -> int | None:
    """The input of a Where that is a constant of nothing but HIDDEN or less; None where neither is."""
    for place in (1, 2):
        array = constant_input(node, place)
        if array is not None and array.dtype == np.float32 and array.size and bool(np.all(array <= HIDDEN)):
            return place
    return None


def shown_side(node: ir.Node) -> ir.Value | None:
    """What a Where shows where it hides nothing, if that is computed and has the output's shape."""
    hidden = hiding_side(node)
    if hidden is None:
        return None
    shown = needed_input(node, 3 - hidden)
    return shown if is_activation(shown) and shape_of(shown) == shape_of(node.outputs[0]) else None
