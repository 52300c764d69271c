"""Changes of the element type."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from axbuild.toolchain.graph import needed_input
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import INT32, type_numbered
from axbuild.toolchain.kinds.convert import Convert
from axbuild.toolchain.ops.base import Extent, Op, SettledNode, Step
from axbuild.toolchain.ops.extent import FITS, NUMBERS


class CastOp(Op):
    """The same value as another type: reals are cut off towards zero, what is not 0 is true."""

    onnx = "Cast"
    limits = (FITS,)

    def dtypes(self, node: ir.Node, value: ir.Value) -> tuple[ir.DataType, ...]:
        return (*NUMBERS, ir.DataType.BOOL)

    def extent(self, node: ir.Node, output: ir.Value, of: Callable[[ir.Value], Extent]) -> Extent:
        """What is cast from reals saturates at 32 bits."""
        source = needed_input(node, 0)
        return (INT32.lo, INT32.hi) if source.dtype == ir.DataType.FLOAT else of(source)

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(Convert(q.edge(), q.target))

    def island(self, node: ir.Node) -> Kind | None:
        x, y = (type_numbered(int(value.dtype or 0)) for value in (needed_input(node, 0), node.outputs[0]))
        return Convert(x, y) if x is not None and y is not None else None
