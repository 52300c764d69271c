"""Two tensors, element by element, with ONNX's broadcasting; one of them may be a constant."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.extent import is_integer, not_zero
from axbuild.toolchain.graph import (
    Array,
    activations_of,
    constant_input,
    constant_operand,
    input_of,
    is_activation,
    needed_input,
    shape_of,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.codes import S16, Grid
from axbuild.toolchain.kinds.integer import IntegerBinary
from axbuild.toolchain.kinds.island import FloatBinary, FloatWithConstant
from axbuild.toolchain.kinds.select import Select
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.kinds.with_constant import WithConstant
from axbuild.toolchain.ops.base import Follow, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS
from axbuild.toolchain.ops.gain import Gain

ONE_COMPUTED = Limit("one of its operands must be computed", lambda n: bool(activations_of(n)))


def _constant_first(node: ir.Node) -> bool:
    return not is_activation(input_of(node, 0))


def _own_constant(node: ir.Node, axis: int) -> dict[int, int]:
    """The constant operand, if there is one, with the axis of the output's channels counted from the end."""
    after = axis - len(shape_of(node.outputs[0]))
    return {index: after for index in (0, 1) if not is_activation(input_of(node, index))}


class Arithmetic(Op):
    """One operation with one rounding; on integers exact."""

    operation: ClassVar[str]
    """as kinds name it"""
    clamps = True
    reals_too = True
    limits: ClassVar[tuple[Limit, ...]] = (ONE_COMPUTED, FITS)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return NUMBERS

    def lower(self, q: SettledNode) -> list[Step]:
        if q.whole is not None:
            return q.joined(IntegerBinary(self.operation, q.whole), q.input(0), q.input(1))
        constant = constant_operand(q.node)
        if constant is not None:
            (x,) = q.fused.inputs
            return q.single(self.with_constant(q, q.x(q.node.inputs.index(x)), constant), x)
        return q.single(Binary.of(self.operation, q.x(0), q.x(1), q.y, q.lo, q.hi))

    def with_constant(self, q: SettledNode, x: Grid, constant: Array) -> Kind:
        """The operation of the activation and the constant, in the order of the node."""
        raise NotImplementedError

    def island(self, node: ir.Node) -> Kind | None:
        if node.outputs[0].dtype != ir.DataType.FLOAT:
            return None
        constant = constant_operand(node)
        if constant is None:
            return FloatBinary(self.operation)
        return self.float_constant(constant.astype(np.float32), _constant_first(node))

    def float_constant(self, constant: Array, first: bool) -> FloatWithConstant:
        """The operation with a constant in float32, which is its first or its second operand."""
        return FloatWithConstant(self.operation, constant)


class AddOp(Arithmetic):
    """a + b; a constant becomes the bias of a layer right before."""

    onnx = "Add"
    operation = "add"
    sums = True
    bias_inputs = (0, 1)
    cases = ("test_add", "test_add_bcast")

    def follows(self, node: ir.Node) -> Follow | None:
        addend = constant_operand(node)
        return None if addend is None or is_integer(node.outputs[0]) else Follow(addend=addend)

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        """Into the constant, and on to what it is added to."""
        return None if constant_operand(node) is None else Gain(_own_constant(node, axis), activations_of(node))

    def with_constant(self, q: SettledNode, x: Grid, constant: Array) -> Kind:
        return WithConstant.added(constant, 1, x, q.y, q.lo, q.hi)


class SubOp(Arithmetic):
    """a - b"""

    onnx = "Sub"
    operation = "sub"
    cases = ("test_sub", "test_sub_bcast", "test_sub_example")

    def with_constant(self, q: SettledNode, x: Grid, constant: Array) -> Kind:
        if _constant_first(q.node):
            return WithConstant.added(constant, -1, x, q.y, q.lo, q.hi)
        return WithConstant.added(-constant, 1, x, q.y, q.lo, q.hi)

    def float_constant(self, constant: Array, first: bool) -> FloatWithConstant:
        return FloatWithConstant("from", constant) if first else FloatWithConstant("add", -constant)


class MulOp(Arithmetic):
    """a b; a constant a position goes into a mean right before."""

    onnx = "Mul"
    operation = "mul"
    cases = ("test_mul", "test_mul_bcast", "test_mul_example")

    def follows(self, node: ir.Node) -> Follow | None:
        factor = constant_operand(node)
        return None if factor is None else Follow(factor=factor)

    def gain(self, node: ir.Node, axis: int) -> Gain | None:
        """Into the constant, or on to one of two tensors."""
        constants = _own_constant(node, axis)
        alike = [value for value in activations_of(node) if value.shape == node.outputs[0].shape]
        return Gain(constants) if constants else Gain({}, tuple(alike)) if alike else None

    def with_constant(self, q: SettledNode, x: Grid, constant: Array) -> Kind:
        return WithConstant.times(constant, x, q.y, q.lo, q.hi)


def _divides(node: ir.Node) -> bool:
    if is_integer(node.outputs[0]):
        return not_zero(needed_input(node, 1))
    constant = constant_operand(node)
    return constant is None or (constant.size == 1 if _constant_first(node) else bool(np.all(constant)))


class DivOp(Arithmetic):
    """a / b; by a code of zero it saturates by the sign of a."""

    onnx = "Div"
    operation = "div"
    limits = (
        *Arithmetic.limits,
        Limit(
            "a constant divisor must not hold 0, nor may an integer one ever be, and a constant dividend of reals must "
            "be one value",
            _divides,
        ),
    )
    cases = ("test_div_example",)

    def follows(self, node: ir.Node) -> Follow | None:
        divisor = None if _constant_first(node) else constant_operand(node)
        return None if divisor is None or not np.all(divisor) else Follow(factor=1.0 / divisor.astype(np.float64))

    def with_constant(self, q: SettledNode, x: Grid, constant: Array) -> Kind:
        if not _constant_first(q.node):
            return WithConstant.times(1.0 / constant.astype(np.float64), x, q.y, q.lo, q.hi)
        dividend = float(constant.reshape(-1)[0])
        return Table.of("Div", lambda reals: dividend / reals, x, q.y)

    def float_constant(self, constant: Array, first: bool) -> FloatWithConstant:
        return FloatWithConstant("over" if first else "div", constant)


class PReluOp(Op):
    """x where x >= 0, slope x elsewhere; the slope may differ from channel to channel."""

    onnx = "PRelu"
    clamps = True
    reals_too = True
    limits = (
        Limit("its input must be computed, not a constant", lambda n: is_activation(input_of(n, 0))),
        Limit("its slope must be a constant", lambda n: constant_input(n, 1) is not None),
        Limit("its slope must be at most 32767", lambda n: _is_moderate(constant_input(n, 1)), of_codes=True),
    )
    cases = ("test_prelu_example", "test_prelu_broadcast")

    def lower(self, q: SettledNode) -> list[Step]:
        slope = constant_input(q.node, 1)
        if slope is None:
            raise ValueError("the slope is not constant")
        return q.single(WithConstant.sloped(slope, q.x(0), q.y, q.lo, q.hi), q.input(0))

    def island(self, node: ir.Node) -> Kind | None:
        slope = constant_input(node, 1)
        return None if slope is None else FloatWithConstant("slope", slope.astype(np.float32))


def _is_moderate(slope: Array | None) -> bool:
    return slope is not None and bool(np.all(np.abs(slope) <= S16.hi))


class Extreme(Op):
    """The larger or the smaller of two tensors, of which one may be a constant."""

    choice: ClassVar[str]
    """as kinds name it"""
    clamps = True
    reals_too = True
    limits = (ONE_COMPUTED, Limit("it must have two inputs", lambda n: len(n.inputs) == 2), FITS)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return NUMBERS

    def lower(self, q: SettledNode) -> list[Step]:
        a, b = q.input(0), q.input(1)
        if q.whole is not None:
            return q.joined(IntegerBinary(self.choice, q.whole), a, b)
        if q.real:
            return q.joined(FloatBinary(self.choice), a, b)
        return q.joined(Select.of(self.choice, q.chosen(0), q.chosen(1), q.y, q.lo, q.hi), a, b)


class MaxOp(Extreme):
    """The larger of two tensors."""

    onnx = "Max"
    choice = "max"
    cases = ("test_max_two_inputs",)


class MinOp(Extreme):
    """The smaller of two tensors."""

    onnx = "Min"
    choice = "min"
    cases = ("test_min_two_inputs",)
