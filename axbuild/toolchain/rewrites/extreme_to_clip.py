"""The larger or smaller of a tensor and one number is a clamp."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of, is_activation, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps


@dataclass(frozen=True)
class Bounding:
    """x and the one number that it is compared with."""

    x: ir.Value
    number: Array


class ExtremeToClip(Rewrite[Bounding]):
    """Max(x, c) -> Clip(x; min = c)
    Min(x, c) -> Clip(x; max = c)
    """

    op = ("Max", "Min")

    def match(self, node: ir.Node) -> Bounding | NoMatch:
        computed = [value for value in node.inputs if value is not None and is_activation(value)]
        numbers = [array for value in node.inputs if (array := constant_of(value)) is not None and array.size == 1]
        if len(computed) != 1 or len(numbers) != 1 or len(node.inputs) != 2:
            return NoMatch(f"{node.op_type} is not of one tensor and one number")
        (x,), (number,) = computed, numbers
        if x.dtype != ir.DataType.FLOAT or shape_of(x) != shape_of(node.outputs[0]):
            return NoMatch(f"{node.op_type} is not over a float32 tensor of its own shape")
        return Bounding(x, number)

    def replace(self, node: ir.Node, found: Bounding, steps: Steps) -> ir.Value:
        bound = steps.constant(found.number.reshape(()), "bound")
        bounds = [bound] if node.op_type == "Max" else [None, bound]
        return steps.insert("Clip", [found.x, *bounds])
