"""Logic that no chip has, by what all chips have."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import constant_of, needed_input, shape_of
from axbuild.toolchain.rewrites.rewrite import Edit, NoMatch, Rewrite

COUNTS = ir.TensorType(ir.DataType.INT32)


class OrToGreater(Rewrite[bool]):
    """Or(a, b) -> Greater(Add(Cast(a), Cast(b)), 0)"""

    op = ("Or",)

    def match(self, node: ir.Node) -> bool | NoMatch:
        return True

    def replace(self, node: ir.Node, found: bool, edit: Edit) -> ir.Value:
        a, b = (_counted(edit, node, index) for index in (0, 1))
        total = edit.insert(
            node, "Add", [a, b], {}, name=f"{node.name}.sum", shape=shape_of(node.outputs[0]), origins=(node,)
        )
        total.type = COUNTS
        zero = edit.initializer(np.zeros((), np.int32), f"{node.name}.zero")
        return edit.insert(node, "Greater", [total, zero], {}, origins=(node,))


def _counted(edit: Edit, node: ir.Node, index: int) -> ir.Value:
    """An operand as 0 and 1."""
    value, name = needed_input(node, index), f"{node.name}.{'ab'[index]}"
    array = constant_of(value)
    if array is not None:
        return edit.initializer(array.astype(np.int32), name)
    counted = edit.insert(
        node, "Cast", [value], {"to": ir.DataType.INT32}, name=name, shape=shape_of(value), origins=(node,)
    )
    counted.type = COUNTS
    return counted
