"""Elements by positions that are computed: read from a tensor, or put into one."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, input_of, integer, needed_input, shape_of, text
from axbuild.toolchain.kinds.codes import ElementType, type_numbered, type_of
from axbuild.toolchain.kinds.indexed import REDUCTIONS, Indexed, Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.ops.base import MOVED, Limit, Op, SettledNode, Step

INDICES = (ir.DataType.INT32, ir.DataType.INT64)


def axis_of(node: ir.Node) -> int:
    return integer(node, "axis", 0) % max(len(shape_of(needed_input(node, 0))), 1)


def index_type(node: ir.Node) -> ElementType:
    """Of the positions."""
    value = needed_input(node, 1)
    kind = type_numbered(int(value.dtype or ir.DataType.UNDEFINED))
    if kind is None:
        raise ValueError(f"the indices of '{node.name}' are {value.dtype}")
    return kind


def pick(node: ir.Node, elements: ElementType) -> Pick:
    return Pick(elements, index_type(node), axis_of(node))


class IndexedOp(Op):
    """A mover whose second input is positions."""

    moves = True
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("its data and its indices must be computed", lambda n: len(activations_of(n)) == len(n.inputs)),
    )

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        """What moves elements of that type."""
        raise NotImplementedError

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INDICES if value is input_of(node, 1) else MOVED

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(self.kind(q.node, type_of(q.target)))


class GatherElementsOp(IndexedOp):
    """For each index the element that it names along one axis."""

    onnx = "GatherElements"
    cases = ("test_gather_elements_0", "test_gather_elements_1", "test_gather_elements_negative_indices")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PickElements(elements, index_type(node), axis_of(node))


class GatherNDOp(IndexedOp):
    """For each list of indices the part of the data that it names along the first axes."""

    onnx = "GatherND"
    limits = (*IndexedOp.limits, Limit("it must not make a scalar", lambda n: bool(shape_of(n.outputs[0]))))
    cases = ("test_gathernd_example_float32", "test_gathernd_example_int32_batch_dim1")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PickParts(elements, index_type(node), integer(node, "batch_dims", 0))


REDUCTION = Limit(
    f"its reduction must be {', '.join(REDUCTIONS[:-1])} or {REDUCTIONS[-1]}",
    lambda n: text(n, "reduction", "none") in REDUCTIONS,
    lambda n: text(n, "reduction", "none"),
)


class ScatterOp(IndexedOp):
    """The data, and over it the updates; of two at one place one stays, the larger or the smaller where that is
    asked for."""

    limits = (
        Limit("its data, indices and updates must be computed", lambda n: len(activations_of(n)) == 3),
        REDUCTION,
    )

    def joined(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 2),)

    def in_float32(self, node: ir.Node) -> bool:
        return text(node, "reduction", "none") == "none"


class ScatterElementsOp(ScatterOp):
    """The data, and over it each update at the place along one axis that its index names."""

    onnx = "ScatterElements"
    cases = (
        "test_scatter_elements_with_axis",
        "test_scatter_elements_with_negative_indices",
        "test_scatter_elements_without_axis",
        "test_scatter_elements_with_reduction_max",
        "test_scatter_elements_with_reduction_min",
    )

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PutElements(elements, index_type(node), axis_of(node), text(node, "reduction", "none"))


class ScatterNDOp(ScatterOp):
    """The data, and over it the updates as parts that lists of indices name along the first axes."""

    onnx = "ScatterND"
    cases = ("test_scatternd", "test_scatternd_max", "test_scatternd_min")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PutParts(elements, index_type(node), text(node, "reduction", "none"))
