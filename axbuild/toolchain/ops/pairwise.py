"""Two activations, element by element, with ONNX's broadcasting."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, input_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.island import FloatBinary
from axbuild.toolchain.kinds.select import Select
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step

BOTH_COMPUTED = Limit("its operands must both be computed", lambda n: len(activations_of(n)) == 2)


class Arithmetic(Op):
    """One operation with one rounding."""

    operation: ClassVar[str]
    """as kinds name it"""
    clamps = True
    limits = (BOTH_COMPUTED,)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Binary.of(self.operation, q.x(0), q.x(1), q.y, q.lo, q.hi))

    def island(self, node: ir.Node) -> Kind:
        return FloatBinary(self.operation)


class SubOp(Arithmetic):
    """a - b of two activations."""

    onnx = "Sub"
    operation = "sub"
    cases = ("test_sub", "test_sub_bcast", "test_sub_example")


class MulOp(Arithmetic):
    """a b of two activations."""

    onnx = "Mul"
    operation = "mul"
    cases = ("test_mul", "test_mul_bcast", "test_mul_example")


class DivOp(Arithmetic):
    """a / b of two activations; by a code of zero it saturates by the sign of a."""

    onnx = "Div"
    operation = "div"
    cases = ("test_div_example",)


class Extreme(Op):
    """The larger or the smaller of two activations."""

    choice: ClassVar[str]
    """as kinds name it"""
    clamps = True
    limits = (BOTH_COMPUTED,)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Select.of(self.choice, q.x(0), q.x(1), q.y, q.lo, q.hi))


class MaxOp(Extreme):
    """The larger of two activations."""

    onnx = "Max"
    choice = "max"
    cases = ("test_max_two_inputs",)


class MinOp(Extreme):
    """The smaller of two activations."""

    onnx = "Min"
    choice = "min"
    cases = ("test_min_two_inputs",)


class WhereOp(Op):
    """a where the condition is true, else b; all three computed."""

    onnx = "Where"
    clamps = True
    limits = (Limit("its inputs must all be computed", lambda n: len(activations_of(n)) == 3),)
    cases = ("test_where_example",)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (ir.DataType.BOOL,) if value is input_of(node, 0) else (ir.DataType.FLOAT,)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Select.of("where", q.x(1), q.x(2), q.y, q.lo, q.hi))
