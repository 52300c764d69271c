"""Logic on truth values, of which one operand may be a constant."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input
from axbuild.toolchain.kinds.codes import BOOL
from axbuild.toolchain.kinds.compare import Compare
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.kinds.integer import IntegerBinary
from axbuild.toolchain.ops.base import Between, Limit, Op, SettledNode, Step
from axbuild.toolchain.ops.pairwise import ONE_COMPUTED


class Logic(Op):
    """One operation on truth values, which the NPU holds as 0 and 1."""

    operation: ClassVar[str]
    """as the kind names it"""
    limits: ClassVar[tuple[Limit, ...]] = (ONE_COMPUTED,)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (ir.DataType.BOOL,)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.joined(IntegerBinary(self.operation, BOOL), q.input(0), q.input(1))


def _cases(name: str) -> tuple[str, ...]:
    return tuple(f"test_{name}{shape}" for shape in ("2d", "3d", "4d", "_bcast3v1d", "_bcast4v2d", "_bcast4v4d"))


class AndOp(Logic):
    """a and b"""

    onnx = "And"
    operation = "and"
    cases = _cases("and")


class XorOp(Logic):
    """a or b, not both"""

    onnx = "Xor"
    operation = "xor"
    cases = _cases("xor")


class NotOp(Logic):
    """Whether x is false."""

    onnx = "Not"
    cases = ("test_not_2d", "test_not_3d", "test_not_4d")

    def lower(self, q: SettledNode) -> list[Step]:
        false = Step(Given(BOOL, np.zeros(1, np.bool_)), (), Between("false"), f"{q.name}/false", (1,))
        return [false, q.step(Compare("equal", BOOL, BOOL), needed_input(q.node, 0).name or "", false.output)]
