"""Whole axes that become one element."""

from __future__ import annotations

import math
from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.graph import (
    Shape,
    input_of,
    is_activation,
    needed_input,
    shape_of,
    static_shape,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.float_reduce import FloatReduce
from axbuild.toolchain.kinds.integer import IntegerReduce
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.ops.axes import reduced_axes
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.conv import TWO_DIMENSIONAL
from axbuild.toolchain.ops.extent import FITS, NUMBERS


class Reduction(Op):
    """One element for all along the axes, whose dimensions stay or go."""

    operation: ClassVar[str]
    """as kinds name it"""
    clamps = True
    reals_too = True

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        """The reduced axes, ascending and not negative."""
        raise NotImplementedError

    def kind(self, q: SettledNode, axes: tuple[int, ...], shape: Shape) -> Kind:
        """What reduces a tensor of that shape."""
        if q.whole is not None:
            return IntegerReduce(self.operation, q.whole, axes)
        if q.real:
            return FloatReduce.of(self.operation, axes, shape)
        count = math.prod(shape[axis] for axis in axes) if self.operation == "mean" else 1
        return Reduce.of(self.operation, q.x(), q.y, axes, q.lo, q.hi, count)

    def lower(self, q: SettledNode) -> list[Step]:
        shape, out, axes = shape_of(q.input(0)), shape_of(q.node.outputs[0]), self.axes(q.node)
        kinds = [("reduced", self.kind(q, axes, shape))]
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        if out != kept:
            kinds.append(("", Reshape(type_of(q.target), static_shape(kept, out))))
        return q.chain(kinds, q.input(0))


class GlobalAveragePoolOp(Reduction):
    """The mean over height and width; the dimensions stay."""

    onnx = "GlobalAveragePool"
    operation = "mean"
    limits = (TWO_DIMENSIONAL,)
    cases = ("test_globalaveragepool", "test_globalaveragepool_precomputed")

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return (2, 3)


AXES = (
    Limit("its axes must be constants", lambda n: not is_activation(input_of(n, 1))),
    Limit("it must reduce some axis, and not every one of a tensor to a scalar", lambda n: _leaves_a_tensor(n)),
)


def _leaves_a_tensor(node: ir.Node) -> bool:
    return bool(reduced_axes(node)) and bool(shape_of(node.outputs[0]))


class Reduced(Reduction):
    """Over the axes of ONNX's Reduce operators."""

    soi = (1,)
    limits: ClassVar[tuple[Limit, ...]] = AXES

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return reduced_axes(node)


class ReducedWhole(Reduced):
    """Of whole numbers too, exactly."""

    limits = (*AXES, FITS)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return NUMBERS


class ReduceMeanOp(Reduced):
    """The mean over any axes."""

    onnx = "ReduceMean"
    operation = "mean"
    cases = ("test_reduce_mean_default_axes_keepdims_example", "test_reduce_mean_keepdims_example")


class ReduceSumOp(ReducedWhole):
    """The sum over any axes."""

    onnx = "ReduceSum"
    operation = "sum"
    cases = ("test_reduce_sum_do_not_keepdims_random", "test_reduce_sum_negative_axes_keepdims_random")


class ReduceL2Op(Reduced):
    """The Euclidean norm over any axes."""

    onnx = "ReduceL2"
    operation = "l2"
    cases = ("test_reduce_l2_keep_dims_random", "test_reduce_l2_do_not_keepdims_example")


class ReducedExtreme(Reduction):
    """One of the elements that are read."""

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)


class ReduceMaxOp(ReducedWhole, ReducedExtreme):
    """The largest over any axes, one of the codes that are read."""

    onnx = "ReduceMax"
    operation = "max"
    cases = ("test_reduce_max_default_axes_keepdim_example", "test_reduce_max_keepdims_example")


class ReduceMinOp(ReducedWhole, ReducedExtreme):
    """The smallest over any axes, one of the codes that are read."""

    onnx = "ReduceMin"
    operation = "min"
    cases = ("test_reduce_min_default_axes_keepdims_example", "test_reduce_min_keepdims_example")


class GlobalMaxPoolOp(ReducedExtreme):
    """The largest over height and width; the dimensions stay."""

    onnx = "GlobalMaxPool"
    operation = "max"
    limits = (TWO_DIMENSIONAL,)
    cases = ("test_globalmaxpool", "test_globalmaxpool_precomputed")

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return (2, 3)
