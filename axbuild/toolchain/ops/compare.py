"""Relations of two tensors, of which one may be a constant."""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from axbuild.toolchain.kinds.compare import Compare
from axbuild.toolchain.ops.base import Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS
from axbuild.toolchain.ops.pairwise import ONE_COMPUTED


class Relation(Op):
    """Whether a relation holds, of the exact reals that codes stand for."""

    relation: ClassVar[str]
    """as the kind names it"""
    reals_too = True
    limits: ClassVar[tuple[Limit, ...]] = (ONE_COMPUTED, FITS)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (ir.DataType.BOOL,) if value in node.outputs else (*NUMBERS, ir.DataType.BOOL)

    def lower(self, q: SettledNode) -> list[Step]:
        a, b = q.input(0), q.input(1)
        return q.joined(Compare(self.relation, q.edge_of(a), q.edge_of(b)), a, b)


class EqualOp(Relation):
    """a = b"""

    onnx = "Equal"
    relation = "equal"
    cases = ("test_equal", "test_equal_bcast")


class LessOp(Relation):
    """a < b"""

    onnx = "Less"
    relation = "less"
    cases = ("test_less", "test_less_bcast")


class LessOrEqualOp(Relation):
    """a <= b"""

    onnx = "LessOrEqual"
    relation = "less_or_equal"
    cases = ("test_less_equal", "test_less_equal_bcast")


class GreaterOp(Relation):
    """a > b"""

    onnx = "Greater"
    relation = "greater"
    cases = ("test_greater", "test_greater_bcast")


class GreaterOrEqualOp(Relation):
    """a >= b"""

    onnx = "GreaterOrEqual"
    relation = "greater_or_equal"
    cases = ("test_greater_equal", "test_greater_equal_bcast")
