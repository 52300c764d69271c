"""Which values the integers of a graph can have, so that arithmetic on them is exact where the NPU holds 32 bits.

A range is proved from the constants and operators a tensor is made of, wherever these run. A node on the NPU reads
values of 32 bits: what comes from elsewhere is checked at the border. So it is enough that its result fits when its
operands lie in their proved ranges and in 32 bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import onnx_ir as ir

from axbuild.toolchain.graph import constant_of, needed_input
from axbuild.toolchain.kinds.codes import INT32, ElementType, type_numbered
from axbuild.toolchain.ops.base import Extent, Limit
from axbuild.toolchain.ops.registry import op_of

NUMBERS = (ir.DataType.FLOAT, ir.DataType.INT32, ir.DataType.INT64)
INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)

_KNOWN = "axbuild.extent"
"""in a tensor's passing notes: its range, once it was asked for"""


def extent(value: ir.Value) -> Extent:
    """The lowest and the highest value that an integer or BOOL tensor can have."""
    if value.dtype == ir.DataType.BOOL:
        return 0, 1
    if _KNOWN not in value.meta:
        value.meta[_KNOWN] = _constant(value) or _computed(value)
    found: Extent = value.meta[_KNOWN]
    return found


def is_integer(value: ir.Value) -> bool:
    return value.dtype in INTEGERS


def _constant(value: ir.Value) -> Extent | None:
    array = constant_of(value)
    return None if array is None or not array.size else (int(array.min()), int(array.max()))


def _type(value: ir.Value) -> ElementType:
    found = type_numbered(int(value.dtype)) if value.dtype is not None else None
    return found if found is not None and is_integer(value) else INT32


def _computed(value: ir.Value) -> Extent:
    """By the operator that makes it; all of its type where nobody knows, or where the result could wrap."""
    kind, node = _type(value), value.producer()
    whole = kind.lo, kind.hi
    op = op_of(node) if node is not None else None
    if op is None or node is None:
        return whole
    found = op.extent(node, value, extent)
    return found if found is not None and whole[0] <= found[0] and found[1] <= whole[1] else whole


def _held(value: ir.Value) -> Extent:
    """As the NPU reads it."""
    low, high = extent(value)
    return max(low, INT32.lo), min(high, INT32.hi)


def _fits(node: ir.Node) -> bool:
    op = op_of(node)
    constants = [
        value for value in node.inputs if value is not None and is_integer(value) and constant_of(value) is not None
    ]
    found = [extent(value) for value in constants]
    found += [known for value in node.outputs if op and is_integer(value) and (known := op.extent(node, value, _held))]
    return all(INT32.lo <= low and high <= INT32.hi for low, high in found)


FITS = Limit("its integers, constants and result alike, must provably fit 32 bits", _fits)


# What operations make of ranges ------------------------------------------------------------------------------


def _product(a: Extent, b: Extent) -> Extent:
    ends = [x * y for x, y in itertools.product(a, b)]
    return min(ends), max(ends)


def _quotient(a: Extent, b: Extent) -> Extent:
    """The divisors that give the largest results are the ends of their range and those next to 0."""
    divisors = [d for d in (*b, -1, 1) if d and b[0] <= d <= b[1]] or [1]
    ends = [abs(x) // abs(d) * (1 if (x < 0) == (d < 0) else -1) for x, d in itertools.product(a, divisors)]
    return min(ends), max(ends)


COMBINED: dict[str, Callable[[Extent, Extent], Extent]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _product,
    "div": _quotient,
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
}
"""operation, as the kind IntegerBinary names it -> the range of its result"""


def combined(operation: str, node: ir.Node, of: Callable[[ir.Value], Extent]) -> Extent:
    """The range of an operation on the node's two inputs."""
    return COMBINED[operation](of(needed_input(node, 0)), of(needed_input(node, 1)))


def not_zero(value: ir.Value) -> bool:
    """Whether no element of an integer tensor can be 0."""
    array = constant_of(value)
    low, high = extent(value)
    return bool(array.all()) if array is not None else low > 0 or high < 0


def either(*extents: Extent) -> Extent:
    """Of what is one of several."""
    return min(low for low, _ in extents), max(high for _, high in extents)
