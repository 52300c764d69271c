"""Elements by positions that are computed: read from a tensor, or put into one."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.extent import is_integer
from axbuild.toolchain.graph import input_of, integer, is_activation, needed_input, shape_of, text
from axbuild.toolchain.kinds.codes import ElementType, type_numbered, type_of
from axbuild.toolchain.kinds.indexed import Indexed, Pick, PickElements, PickParts, PutElements, PutParts
from axbuild.toolchain.ops.base import MOVED, Limit, Op, SettledNode, Step, computed_reals, extremes
from axbuild.toolchain.ops.extent import FITS

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
    """A mover whose second input is positions; its elements, or its positions, may be constants."""

    moves = True
    limits: ClassVar[tuple[Limit, ...]] = (FITS,)

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        """What moves elements of that type."""
        raise NotImplementedError

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return INDICES if value is input_of(node, 1) else MOVED

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return tuple(filter(is_activation, (needed_input(node, 0),)))

    def covers(self, node: ir.Node) -> tuple[float, ...]:
        return extremes(*node.inputs)

    def lower(self, q: SettledNode) -> list[Step]:
        inputs = (needed_input(q.node, place) for place in range(len(q.node.inputs)))
        return q.joined(self.kind(q.node, type_of(q.target)), *inputs)


class GatherElementsOp(IndexedOp):
    """For each index the element that it names along one axis."""

    onnx = "GatherElements"
    cases = ("test_gather_elements_0", "test_gather_elements_1", "test_gather_elements_negative_indices")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PickElements(elements, index_type(node), axis_of(node))


class GatherNDOp(IndexedOp):
    """For each list of indices the part of the data that it names along the first axes."""

    onnx = "GatherND"
    limits = (
        *IndexedOp.limits,
        Limit("it must not make a scalar", lambda n: bool(shape_of(n.outputs[0]))),
        Limit("its indices must have its data's first batch_dims axes", lambda n: _has_own_batches(n)),
    )
    cases = ("test_gathernd_example_float32", "test_gathernd_example_int32_batch_dim1")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PickParts(elements, index_type(node), _batches(node))


def _batches(node: ir.Node) -> int:
    return integer(node, "batch_dims", 0)


def _has_own_batches(node: ir.Node) -> bool:
    """onnxruntime takes fewer indices than data, and leaves the rest of the data out; ONNX does not."""
    data, indices = (shape_of(needed_input(node, place))[: _batches(node)] for place in (0, 1))
    return data == indices


def _reduction(node: ir.Node) -> str:
    return text(node, "reduction", "none")


ORDERLESS = Limit(
    "its reduction must be none, max or min of reals, whose sums and products depend on the order",
    lambda n: _reduction(n) in ("none", "max", "min") or is_integer(n.outputs[0]),
    _reduction,
)


class ScatterOp(IndexedOp):
    """The data, and over it the updates; of two at one place one stays, or what the reduction makes of both."""

    limits = (ORDERLESS, FITS)

    def joined(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return computed_reals(needed_input(node, 2))

    def in_float32(self, node: ir.Node) -> bool:
        return _reduction(node) == "none"


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
        return PutElements(elements, index_type(node), axis_of(node), _reduction(node))


class ScatterNDOp(ScatterOp):
    """The data, and over it the updates as parts that lists of indices name along the first axes."""

    onnx = "ScatterND"
    cases = ("test_scatternd", "test_scatternd_max", "test_scatternd_min")

    def kind(self, node: ir.Node, elements: ElementType) -> Indexed:
        return PutParts(elements, index_type(node), _reduction(node))
