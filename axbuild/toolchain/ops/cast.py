"""Changes of the element type."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.ops.base import Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


class CastOp(Op):
    """The same value as another type: reals are cut off towards zero, what is not 0 is true."""

    onnx = "Cast"
    reals_too = True
    limits = (FITS,)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (*NUMBERS, ir.DataType.BOOL)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Convert(q.edge(), q.target))
