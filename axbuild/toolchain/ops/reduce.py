"""Whole axes that become one element."""

from __future__ import annotations

import math
from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.graph import (
    constant_integers,
    input_of,
    integer,
    is_activation,
    needed_input,
    shape_of,
    static_shape,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.mover import Reshape
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.conv import TWO_DIMENSIONAL


class Reduction(Op):
    """One element for all along the axes, whose dimensions stay or go."""

    clamps = True

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        """The reduced axes, ascending and not negative."""
        raise NotImplementedError

    def kind(self, q: SettledNode, axes: tuple[int, ...], count: int) -> Kind:
        """What reduces; count: the elements that become one."""
        raise NotImplementedError

    def lower(self, q: SettledNode) -> list[Step]:
        shape, out, axes = shape_of(q.input(0)), shape_of(q.node.outputs[0]), self.axes(q.node)
        kinds = [("reduced", self.kind(q, axes, math.prod(shape[axis] for axis in axes)))]
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        if out != kept:
            kinds.append(("", Reshape(q.y.type, static_shape(kept, out))))
        return q.chain(kinds, q.input(0))


class Mean(Reduction):
    """Their mean."""

    def kind(self, q: SettledNode, axes: tuple[int, ...], count: int) -> Kind:
        return Reduce.of("mean", q.x(), q.y, axes, q.lo, q.hi, count)


class GlobalAveragePoolOp(Mean):
    """The mean over height and width; the dimensions stay."""

    onnx = "GlobalAveragePool"
    limits = (TWO_DIMENSIONAL,)
    cases = ("test_globalaveragepool", "test_globalaveragepool_precomputed")

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return (2, 3)


def reduced_axes(node: ir.Node) -> tuple[int, ...]:
    """The axes of ONNX's Reduce operators: given, or all; none where nothing is reduced."""
    rank = len(shape_of(needed_input(node, 0)))
    given = constant_integers(node, 1, "axes") or ()
    if not given and not integer(node, "noop_with_empty_axes", 0):
        return tuple(range(rank))
    return tuple(sorted(axis % rank for axis in given))


AXES = (
    Limit("its axes must be constants", lambda n: not is_activation(input_of(n, 1))),
    Limit("it must reduce some axis, and not every one of a tensor to a scalar", lambda n: _leaves_a_tensor(n)),
)


def _leaves_a_tensor(node: ir.Node) -> bool:
    return bool(reduced_axes(node)) and bool(shape_of(node.outputs[0]))


class Reduced(Op):
    """Over the axes of ONNX's Reduce operators."""

    soi = (1,)
    limits = AXES

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return reduced_axes(node)


class ReduceMeanOp(Reduced, Mean):
    """The mean over any axes."""

    onnx = "ReduceMean"
    cases = ("test_reduce_mean_default_axes_keepdims_example", "test_reduce_mean_keepdims_example")


class ReduceSumOp(Reduced, Reduction):
    """The sum over any axes."""

    onnx = "ReduceSum"
    cases = ("test_reduce_sum_do_not_keepdims_random", "test_reduce_sum_negative_axes_keepdims_random")

    def kind(self, q: SettledNode, axes: tuple[int, ...], count: int) -> Kind:
        return Reduce.of("sum", q.x(), q.y, axes, q.lo, q.hi)


class ReduceL2Op(Reduced, Reduction):
    """The Euclidean norm over any axes."""

    onnx = "ReduceL2"
    cases = ("test_reduce_l2_keep_dims_random", "test_reduce_l2_do_not_keepdims_example")

    def kind(self, q: SettledNode, axes: tuple[int, ...], count: int) -> Kind:
        return Reduce.of("l2", q.x(), q.y, axes, q.lo, q.hi)


class ReducedExtreme(Reduction):
    """One of the codes that are read."""

    choice: ClassVar[str]
    """as kinds name it"""

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def kind(self, q: SettledNode, axes: tuple[int, ...], count: int) -> Kind:
        return Reduce.of(self.choice, q.x(), q.y, axes, q.lo, q.hi)


class ReduceMaxOp(Reduced, ReducedExtreme):
    """The largest over any axes, one of the codes that are read."""

    onnx = "ReduceMax"
    choice = "max"
    cases = ("test_reduce_max_default_axes_keepdim_example", "test_reduce_max_keepdims_example")


class ReduceMinOp(Reduced, ReducedExtreme):
    """The smallest over any axes, one of the codes that are read."""

    onnx = "ReduceMin"
    choice = "min"
    cases = ("test_reduce_min_default_axes_keepdims_example", "test_reduce_min_keepdims_example")


class GlobalMaxPoolOp(ReducedExtreme):
    """The largest over height and width; the dimensions stay."""

    onnx = "GlobalMaxPool"
    choice = "max"
    limits = (TWO_DIMENSIONAL,)
    cases = ("test_globalmaxpool", "test_globalmaxpool_precomputed")

    def axes(self, node: ir.Node) -> tuple[int, ...]:
        return (2, 3)
