"""Another sign: of reals by a table, of whole numbers exactly."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.kinds.given import Given
from axbuild.toolchain.kinds.integer import IntegerBinary
from axbuild.toolchain.ops.activation import ActivationOp, Curve
from axbuild.toolchain.ops.base import Between, Ref, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


class Signed(ActivationOp):
    """Of reals and of whole numbers."""

    limits = (FITS,)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return NUMBERS

    def lower(self, q: SettledNode) -> list[Step]:
        return super().lower(q) if q.whole is None else self.exactly(q, q.whole)

    def exactly(self, q: SettledNode, kind: ElementType) -> list[Step]:
        """Of whole numbers of that type."""
        raise NotImplementedError


def _subtraction(q: SettledNode, kind: ElementType) -> tuple[Step, IntegerBinary, tuple[Ref, Ref]]:
    """A step that gives 0, and the kind and its operands that take x from it."""
    zero = Step(Given(kind, np.zeros(1, kind.dtype)), (), Between("zero"), f"{q.name}/zero", (1,))
    return zero, IntegerBinary("sub", kind), (zero.output, q.input(0).name or "")


class NegOp(Signed):
    """-x"""

    onnx = "Neg"
    cases = ("test_neg", "test_neg_example")

    def curve(self, node: ir.Node) -> Curve:
        return np.negative

    def exactly(self, q: SettledNode, kind: ElementType) -> list[Step]:
        zero, subtract, operands = _subtraction(q, kind)
        return [zero, q.step(subtract, *operands)]


class AbsOp(Signed):
    """|x|"""

    onnx = "Abs"
    cases = ("test_abs",)

    def curve(self, node: ir.Node) -> Curve:
        return np.abs

    def exactly(self, q: SettledNode, kind: ElementType) -> list[Step]:
        zero, subtract, operands = _subtraction(q, kind)
        negative = Step(subtract, operands, Between("negative"), f"{q.name}/negative", shape_of(q.input(0)))
        return [zero, negative, q.step(IntegerBinary("max", kind), operands[1], negative.output)]
