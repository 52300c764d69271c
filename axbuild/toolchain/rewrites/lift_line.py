"""Maps of one spatial axis as maps of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    constant_of,
    integer,
    integers,
    is_activation,
    is_constant,
    needed_input,
    shape_of,
    text,
)
from axbuild.toolchain.kinds.places import PLACES
from axbuild.toolchain.rewrites.affine import order_of_sums
from axbuild.toolchain.rewrites.resized import is_known
from axbuild.toolchain.rewrites.rewrite import EXACT, NoMatch, Rewrite, Rounding, Steps, attributes

WEIGHTED = ("Conv", "ConvTranspose")
WINDOWS = (*WEIGHTED, "AveragePool", "MaxPool")
GLOBAL = ("GlobalAveragePool", "GlobalMaxPool")
ELEMENTWISE = (
    *("Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish"),
    *("LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Relu", "Round", "Sigmoid", "Sin"),
    *("Softplus", "Sqrt", "Sub", "Swish", "Tanh"),
)
"""what works element by element, constants beside it included"""
MOVERS = ("Concat", "Gather")
MAPS = dict.fromkeys(WEIGHTED, 2) | {"Gather": 1, "Resize": 1}
"""how many of an operator's inputs have the axes of its output; all of the others'"""
PAIRS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}
"""attributes with one number a spatial axis -> that of an axis of one element"""


@dataclass(frozen=True)
class Lifted:
    """settings: the node's attributes over two axes."""

    settings: dict[str, Any]


class LiftLine(Rewrite[Lifted]):
    """Conv(x, w) -> Squeeze(Conv(Unsqueeze(x), Unsqueeze(w))), [n, c, l] as [n, c, l, 1]

    ConvTranspose, pooling and a linear Resize likewise. So are element-wise operators and movers where all they read
    was squeezed: between two convolutions nothing is squeezed any more. The length stands along the rows, which a chip
    cuts first.
    """

    op = (*WINDOWS, *GLOBAL, *ELEMENTWISE, *MOVERS, "Resize")

    def match(self, node: ir.Node) -> Lifted | NoMatch:
        if len(shape_of(node.outputs[0])) != 3 or node.outputs[0].dtype != ir.DataType.FLOAT:
            return NoMatch(f"{node.op_type} is not over maps of one axis")
        if len(node.outputs) > 1:
            return NoMatch(f"{node.op_type} has more than one output")
        if node.op_type in WEIGHTED and not all(is_constant(value) for value in node.inputs[1:]):
            return NoMatch(f"{node.op_type} weights are not constant")
        if node.op_type in (*WINDOWS, *GLOBAL):
            return Lifted(_over_two_axes(node))
        if node.op_type == "Resize":
            return _resize(node)
        maps = [value for value in node.inputs[: MAPS.get(node.op_type)] if value is not None]
        computed = [value for value in maps if not is_constant(value)]
        if not computed or not all(map(is_squeezed, computed)):
            return NoMatch(f"{node.op_type} reads what was not squeezed")
        if any(len(shape_of(value)) > 3 for value in maps):
            return NoMatch(f"{node.op_type} has a constant of more axes")
        axis = {"axis": integer(node, "axis", 0) % 3} if node.op_type in MOVERS else {}
        return Lifted({**attributes(node), **axis})

    def replace(self, node: ir.Node, found: Lifted, steps: Steps) -> ir.Value:
        maps = MAPS.get(node.op_type, len(node.inputs))
        inputs = [self._lifted(node, value, steps) for value in node.inputs[:maps]] + list(node.inputs[maps:])
        if node.op_type == "Resize":
            inputs[1:] = [None, *(_with_one(value, steps) for value in node.inputs[2:])]
        shape = shape_of(node.outputs[0])
        result = steps.insert(node.op_type, inputs, found.settings, shape=(*shape, 1))
        return steps.reshaped(result, shape, "squeezed")

    def _lifted(self, node: ir.Node, value: ir.Value | None, steps: Steps) -> ir.Value | None:
        """A tensor with an axis of one element behind its own; a single number as it is."""
        if value is None or ((array := constant_of(value)) is not None and array.ndim == 0):
            return value
        if array is not None:
            return steps.constant(array[..., None], "lifted", of=value)
        if is_squeezed(value):
            return needed_input(_producer(value), 0)
        return steps.reshaped(value, (*shape_of(value), 1), "lifted")

    def rounding(self, node: ir.Node, found: Lifted) -> Rounding:
        source = needed_input(node, 0)
        if node.op_type in WEIGHTED:
            return order_of_sums(node, source)
        if node.op_type in ("AveragePool", "GlobalAveragePool"):
            return Rounding(shape_of(source)[2], ((source, 1.0),))
        return Rounding(2, ((source, 1.0),)) if node.op_type == "Resize" else EXACT


def _resize(node: ir.Node) -> Lifted | NoMatch:
    """One whose places are known axis by axis."""
    place = text(node, "coordinate_transformation_mode", "half_pixel")
    fits = text(node, "mode", "nearest") == "linear" or is_squeezed(node.inputs[0])
    if not fits or place not in PLACES or not is_known(node):
        return NoMatch("Resize is not linear, or computes where")
    if {"axes", "antialias", "keep_aspect_ratio_policy"} & node.attributes.keys():
        return NoMatch("Resize names axes, smooths or keeps an aspect ratio")
    return Lifted(attributes(node))


def _with_one(value: ir.Value | None, steps: Steps) -> ir.Value | None:
    """Scales or sizes with that of an axis of one element."""
    array = constant_of(value)
    if value is None or array is None or not array.size:
        return None
    return steps.constant(np.append(array, array.dtype.type(1)), "lifted", of=value)


def _over_two_axes(node: ir.Node) -> dict[str, Any]:
    settings = attributes(node)
    for name, one in PAIRS.items():
        if name in settings:
            settings[name] = [*integers(node, name, ()), one]
    if "pads" in settings:
        begin, end = integers(node, "pads", ())
        settings["pads"] = [begin, 0, end, 0]
    return settings


def _producer(value: ir.Value) -> ir.Node:
    node = value.producer()
    if node is None:
        raise ValueError(f"nothing computes '{value.name}'")
    return node


def is_squeezed(value: ir.Value | None) -> bool:
    """Whether the value is [n, c, l] of a computed [n, c, l, 1]."""
    node = value.producer() if value is not None else None
    if value is None or node is None or node.op_type not in ("Reshape", "Squeeze"):
        return False
    return is_activation(node.inputs[0]) and shape_of(needed_input(node, 0)) == (*shape_of(value), 1)
