"""What ops ask of integers: that they are exact where the NPU holds 32 bits.

A node on the NPU reads values of 32 bits: what comes from elsewhere is checked at the border. So it is enough that its
result fits when its operands lie in their proved ranges and in 32 bits.
"""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.extent import INTEGERS, NARROW, Extent, extent, is_integer, result, within
from axbuild.toolchain.graph import is_constant
from axbuild.toolchain.ops.base import Limit

NUMBERS = (ir.DataType.FLOAT, *INTEGERS)


def _held(value: ir.Value) -> Extent:
    """As the NPU reads it."""
    low, high = extent(value)
    return max(low, NARROW[0]), min(high, NARROW[1])


def _fits(node: ir.Node) -> bool:
    constants = [value for value in node.inputs if value is not None and is_integer(value) and is_constant(value)]
    made = [result(node, value, _held) for value in node.outputs if is_integer(value)]
    return all(found is None or within(found, NARROW) for found in (*map(extent, constants), *made))


FITS = Limit("its integers, constants and result alike, must provably fit 32 bits", _fits)
