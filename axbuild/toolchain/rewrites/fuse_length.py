"""Square roots of sums of squares as one operator: on a grid of squares all that is not loud is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Shape, constant_input, has_one_reader, integer, needed_input, shape_of
from axbuild.toolchain.ops.axes import reduced_axes
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps


@dataclass(frozen=True)
class Length:
    """parts: the tensors that are squared; axes: of the one tensor, none where two are added; summed: the node that
    adds."""

    parts: tuple[ir.Value, ...]
    axes: tuple[int, ...]
    keeps: bool
    summed: ir.Node

    @property
    def elements(self) -> int:
        """How many squares are added."""
        return math.prod(shape_of(self.parts[0])[axis] for axis in self.axes) if self.axes else len(self.parts)


class FuseLength(Rewrite[Length]):
    """Sqrt(ReduceSum(x^2)) -> ReduceL2(x),  Sqrt(a^2 + b^2) -> ReduceL2(a beside b)

    The second is the magnitude of a spectrum.
    """

    op = ("Sqrt",)
    is_needed = False

    def match(self, node: ir.Node) -> Length | NoMatch:
        summed = _only(node.inputs[0])
        if summed is None or summed.op_type not in ("Add", "ReduceSum"):
            return NoMatch("Sqrt is not of a sum")
        alone = summed.op_type == "ReduceSum"
        parts = [_squared(value) for value in summed.inputs[: 1 if alone else 2]]
        squared = tuple(part for part in parts if part is not None)
        if len(squared) < len(parts) or len({shape_of(part) for part in squared}) > 1 or not shape_of(squared[0]):
            return NoMatch("Sqrt is not of a sum of squares of one shape")
        axes = reduced_axes(summed) if alone else ()
        if alone and not axes:
            return NoMatch("the ReduceSum before Sqrt adds nothing")
        return Length(squared, axes, not alone or bool(integer(summed, "keepdims", 1)), summed)

    def replace(self, node: ir.Node, found: Length, steps: Steps) -> ir.Value:
        origins = (node, found.summed)
        if found.axes:
            axes = steps.constant(np.array(found.axes), "axes")
            settings = {"keepdims": int(found.keeps)}
            return steps.insert("ReduceL2", [found.parts[0], axes], settings, origins=origins, spelled=True)
        first, *rest = shape = shape_of(node.outputs[0])
        parts = [steps.reshaped(part, (first, 1, *rest), "part") for part in found.parts]
        beside: Shape = (first, len(parts), *rest)
        joined = steps.insert("Concat", parts, {"axis": 1}, name="beside", shape=beside, origins=(found.summed,))
        kept: Shape = (first, 1, *rest)
        axes = steps.constant(np.array([1]), "axes")
        length = steps.insert("ReduceL2", [joined, axes], shape=kept, origins=origins, spelled=True)
        return steps.reshaped(length, shape, "length")

    def rounding(self, node: ir.Node, found: Length) -> Rounding:
        gain = math.sqrt(found.elements)
        return Rounding(found.elements + 2, tuple((part, gain) for part in found.parts))


def _only(value: ir.Value | None) -> ir.Node | None:
    """What makes a tensor for this reader alone."""
    return value.producer() if value is not None and has_one_reader(value) else None


def _squared(value: ir.Value | None) -> ir.Value | None:
    """x of x^2 or x x."""
    node = value.producer() if value is not None else None
    if node is None or value is None or len({id(user) for user, _ in value.uses()}) > 1 or value.is_graph_output():
        return None
    exponent = constant_input(node, 1)
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return needed_input(node, 0)
    if node.op_type == "Pow" and exponent is not None and np.all(exponent == 2.0):
        return needed_input(node, 0) if shape_of(needed_input(node, 0)) == shape_of(value) else None
    return None
