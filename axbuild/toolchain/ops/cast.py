"""Changes of the element type."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import needed_input
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_numbered
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.ops.base import Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


class CastOp(Op):
    """The same value as another type: reals are cut off towards zero, what is not 0 is true."""

    onnx = "Cast"
    limits = (FITS,)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (*NUMBERS, ir.DataType.BOOL)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Convert(q.edge(), q.target))

    def island(self, node: ir.Node) -> Kind | None:
        x, y = (type_numbered(int(value.dtype or 0)) for value in (needed_input(node, 0), node.outputs[0]))
        return Convert(x, y) if x is not None and y is not None else None
