"""What was reduced along axes that went and came back, with these axes kept: so normalisations are found.

jax and Keras reduce without the axes, work on what is left, and bring the axes back by a Reshape.
"""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import Shape, constant_input, constant_of, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.rewrites.fuse_norm import REDUCTIONS
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Steps, attributes
from axbuild.toolchain.rewrites.spelled import POINTWISE

BRING_BACK = ("Reshape", "Unsqueeze")


def _comes_back(value: ir.Value, shape: Shape) -> bool:
    """Whether what is made of the value, element by element, is brought into the shape."""
    waiting, seen = [value], {value}
    while waiting:
        for node, _ in waiting.pop().uses():
            output = node.outputs[0]
            if node.op_type in BRING_BACK and shape_of(output) == shape:
                return True
            if node.op_type in POINTWISE and shape_of(output) == shape_of(value) and output not in seen:
                seen.add(output)
                waiting.append(output)
    return False


class KeepAxes(Rewrite[Shape]):
    """Reduce(x; keepdims = 0) -> Reshape(Reduce(x; keepdims = 1)), where a Reshape behind it brings the axes back"""

    op = tuple(REDUCTIONS)
    is_needed = False

    def match(self, node: ir.Node) -> Shape | NoMatch:
        axes = constant_input(node, 1)
        if axes is None or integer(node, "keepdims", 1):
            return NoMatch(f"{node.op_type} keeps its axes, or takes all of them")
        shape = shape_of(needed_input(node, 0))
        gone = {int(axis) % len(shape) for axis in axes.reshape(-1)}
        kept = tuple(1 if axis in gone else size for axis, size in enumerate(shape))
        return kept if _comes_back(node.outputs[0], kept) else NoMatch(f"the axes of {node.op_type} do not come back")

    def replace(self, node: ir.Node, found: Shape, steps: Steps) -> ir.Value:
        settings = {**attributes(node), "keepdims": 1}
        value = steps.insert(node.op_type, list(node.inputs), settings, shape=found)
        return steps.reshaped(value, shape_of(node.outputs[0]), "apart")


class ReshapeLast(Rewrite[list[ir.Value]]):
    """f(Reshape(x), Reshape(y), k) -> Reshape(f(x, y, k)), x and y of one shape, which a Reshape behind brings back"""

    op = tuple(POINTWISE)
    is_needed = False

    def match(self, node: ir.Node) -> list[ir.Value] | NoMatch:
        sources = [_source(value) for value in node.inputs if value is not None]
        shapes = {shape_of(value) for value in sources if value is not None and is_activation(value)}
        if None in sources or len(shapes) != 1:
            return NoMatch(f"not all that {node.op_type} reads was reshaped from one shape")
        if not _comes_back(node.outputs[0], shapes.pop()):
            return NoMatch(f"what {node.op_type} makes is not brought back into that shape")
        return [value for value in sources if value is not None]

    def replace(self, node: ir.Node, found: list[ir.Value], steps: Steps) -> ir.Value:
        shape = next(shape_of(value) for value in found if is_activation(value))
        value = steps.insert(node.op_type, list(found), attributes(node), shape=shape)
        return steps.reshaped(value, shape_of(node.outputs[0]), "apart")


def _source(value: ir.Value) -> ir.Value | None:
    """What was reshaped, or a number as it is; None where the value is neither."""
    array, producer = constant_of(value), value.producer()
    if array is not None:
        return value if array.size == 1 else None
    return producer.inputs[0] if producer is not None and producer.op_type == "Reshape" else None


class ReshapeBack(Rewrite[ir.Value]):
    """Reshape(Reshape(x)) -> x, where it has that shape again"""

    op = BRING_BACK
    is_needed = False

    def match(self, node: ir.Node) -> ir.Value | NoMatch:
        source = _source(needed_input(node, 0))
        if source is None or not is_activation(source) or shape_of(source) != shape_of(node.outputs[0]):
            return NoMatch(f"{node.op_type} brings no shape back")
        return source

    def replace(self, node: ir.Node, found: ir.Value, steps: Steps) -> ir.Value:
        return found
