"""Square roots of sums of squares as one operator: on a grid of squares all that is not loud is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Shape, constant_input, has_one_reader, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes


@dataclass(frozen=True)
class Length:
    """parts: what is squared, one tensor or two; summed: the node that adds; elements: how many squares it adds."""

    parts: tuple[ir.Value, ...]
    summed: ir.Node
    elements: int


class FuseLength(Rewrite[Length]):
    """Sqrt(ReduceSum(x^2)) -> ReduceL2(x),  Sqrt(a^2 + b^2) -> ReduceL2(a beside b)

    The second is the magnitude of a spectrum.
    """

    op = ("Sqrt",)
    is_needed = False

    def match(self, node: ir.Node) -> Length | NoMatch:
        summed = node.inputs[0].producer() if node.inputs[0] is not None and has_one_reader(node.inputs[0]) else None
        if summed is None or summed.op_type not in ("Add", "ReduceSum"):
            return NoMatch("Sqrt is not of a sum")
        parts = [_squared(value) for value in summed.inputs[: 1 if summed.op_type == "ReduceSum" else 2]]
        squared = tuple(part for part in parts if part is not None)
        if len(squared) < len(parts) or len({shape_of(part) for part in squared}) > 1:
            return NoMatch("Sqrt is not of a sum of squares of one shape")
        shape = shape_of(squared[0])
        if not shape or 0 in shape:
            return NoMatch("Sqrt is not of a tensor with elements")
        elements = math.prod(shape) * len(squared) // math.prod(shape_of(summed.outputs[0]))
        return Length(squared, summed, elements) if elements > 1 else NoMatch("Sqrt is of single squares")

    def replace(self, node: ir.Node, found: Length, steps: Steps) -> ir.Value:
        origins, summed = (node, found.summed), found.summed
        if summed.op_type == "ReduceSum":
            inputs = [*found.parts, *summed.inputs[1:]]
            return steps.insert("ReduceL2", inputs, attributes(summed), origins=origins, spelled=True)
        first, *rest = shape = shape_of(node.outputs[0])
        parts = [steps.reshaped(part, (first, 1, *rest), "part") for part in found.parts]
        beside: Shape = (first, len(parts), *rest)
        joined = steps.insert("Concat", parts, {"axis": 1}, name="beside", shape=beside, origins=(summed,))
        kept: Shape = (first, 1, *rest)
        axes = steps.constant(np.array([1]), "axes")
        length = steps.insert("ReduceL2", [joined, axes], shape=kept, origins=origins, spelled=True)
        return steps.reshaped(length, shape, "length")

    def rounding(self, node: ir.Node, found: Length) -> Rounding:
        gain = math.sqrt(found.elements)
        return Rounding(found.elements + 2, tuple((part, gain) for part in found.parts))


def _squared(value: ir.Value | None) -> ir.Value | None:
    """x of x^2 or x x that one node reads."""
    node = value.producer() if value is not None else None
    if node is None or value is None or value.is_graph_output():
        return None
    if len({id(user) for user, _ in value.uses() if user.graph is not None}) > 1:
        return None
    exponent = constant_input(node, 1)
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return needed_input(node, 0)
    if node.op_type == "Pow" and exponent is not None and np.all(exponent == 2.0):
        return needed_input(node, 0) if shape_of(needed_input(node, 0)) == shape_of(value) else None
    return None
