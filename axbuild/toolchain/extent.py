"""Which values the integers of a graph can have, so that arithmetic on them is exact where the NPU holds 32 bits.

A range is proved from the constants, shapes and operators that a tensor is made of, wherever these run. It stands here,
not with the ops, because the front end asks for it too, and what it makes must not depend on what has an integer form.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    constant_input,
    constant_integers,
    constant_of,
    integer,
    needed_input,
    shape_of,
    text,
)

Extent = tuple[int, int]
"""the lowest and the highest value of integers"""
Of = Callable[[ir.Value], Extent]
"""a tensor -> its range"""

INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)
NARROW: Extent = (-(1 << 31), (1 << 31) - 1)
"""of 32 bits"""

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


def within(inner: Extent, outer: Extent) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def not_zero(value: ir.Value) -> bool:
    """Whether no element of an integer tensor can be 0."""
    array = constant_of(value)
    low, high = extent(value)
    return bool(array.all()) if array is not None else low > 0 or high < 0


def result(node: ir.Node, output: ir.Value, of: Of) -> Extent | None:
    """The range of an integer output from those of the inputs; None where nothing is known of it."""
    rule = _RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    return None if rule is None else rule(node, output, of)


def _constant(value: ir.Value) -> Extent | None:
    array = constant_of(value)
    return None if array is None or not array.size else (int(array.min()), int(array.max()))


def _computed(value: ir.Value) -> Extent:
    """By the operator that makes it; all of its type where nobody knows, or where the result could wrap."""
    limits = np.iinfo(np.int32 if value.dtype == ir.DataType.INT32 else np.int64)
    whole, node = (int(limits.min), int(limits.max)), value.producer()
    found = result(node, value, extent) if node is not None else None
    return found if found is not None and within(found, whole) else whole


# What operators make of ranges -------------------------------------------------------------------------------


def _product(a: Extent, b: Extent) -> Extent:
    ends = [x * y for x, y in itertools.product(a, b)]
    return min(ends), max(ends)


def _quotient(a: Extent, b: Extent) -> Extent:
    """The divisors that give the largest results are the ends of their range and those next to 0."""
    divisors = [d for d in (*b, -1, 1) if d and b[0] <= d <= b[1]] or [1]
    ends = [abs(x) // abs(d) * (1 if (x < 0) == (d < 0) else -1) for x, d in itertools.product(a, divisors)]
    return min(ends), max(ends)


def _either(*extents: Extent) -> Extent:
    """Of what is one of several."""
    return min(low for low, _ in extents), max(high for _, high in extents)


Rule = Callable[[ir.Node, ir.Value, Of], Extent | None]


def _of_two(combine: Callable[[Extent, Extent], Extent]) -> Rule:
    return lambda node, output, of: combine(of(needed_input(node, 0)), of(needed_input(node, 1)))


def _of_one(change: Callable[[int, int], Extent]) -> Rule:
    return lambda node, output, of: change(*of(needed_input(node, 0)))


def _of_all(choose: Callable[[Iterable[int]], int]) -> Rule:
    def rule(node: ir.Node, output: ir.Value, of: Of) -> Extent:
        lows, highs = zip(*(of(value) for value in node.inputs if value is not None), strict=True)
        return choose(lows), choose(highs)

    return rule


def _cast(node: ir.Node, output: ir.Value, of: Of) -> Extent | None:
    """What is cast from reals is unknown."""
    source = needed_input(node, 0)
    return of(source) if is_integer(source) or source.dtype == ir.DataType.BOOL else None


def _places(axis: int) -> Rule:
    """Numbers of elements along an axis; axis: what it is where the node does not say."""

    def rule(node: ir.Node, output: ir.Value, of: Of) -> Extent:
        shape = shape_of(needed_input(node, 0))
        return 0, shape[integer(node, "axis", axis) % len(shape)] - 1

    return rule


def _top(node: ir.Node, output: ir.Value, of: Of) -> Extent | None:
    return _places(-1)(node, output, of) if output is node.outputs[1] else of(needed_input(node, 0))


def _running(node: ir.Node, output: ir.Value, of: Of) -> Extent:
    (low, high), axis = of(needed_input(node, 0)), constant_input(node, 1)
    shape = shape_of(output)
    length = math.prod(shape) if axis is None else shape[int(axis.reshape(-1)[0])]
    return min(low, 0, length * low), max(high, 0, length * high)


_times, _over = _of_two(_product), _of_two(_quotient)


def _operands(value: ir.Value, rule: Rule) -> tuple[ir.Value, ...]:
    """Of the operator that makes a tensor, where this is its rule."""
    node = value.producer()
    if node is None or node.domain not in ("", "ai.onnx") or _RULES.get(node.op_type) is not rule:
        return ()
    return tuple(needed_input(node, place) for place in range(len(node.inputs)))


def _difference(node: ir.Node, output: ir.Value, of: Of) -> Extent:
    """a - b; of a - (a / d) d, what is left of a division, less than d."""
    a, b = (needed_input(node, place) for place in (0, 1))
    (low, high), (least, most) = of(a), of(b)
    if (product := _operands(b, _times)) and _operands(product[0], _over) == (a, product[1]):
        rest = max(map(abs, of(product[1]))) - 1
        return max(min(low, 0), -rest), min(max(high, 0), rest)
    return low - most, high - least


def _sum(node: ir.Node, output: ir.Value, of: Of) -> Extent:
    """Of as many elements as the input has for each of the output's."""
    low, high = of(needed_input(node, 0))
    count = math.prod(shape_of(needed_input(node, 0))) // max(math.prod(shape_of(output)), 1)
    return count * low, count * high


def _pad(node: ir.Node, output: ir.Value, of: Of) -> Extent | None:
    value = (constant_integers(node, 2, "value") or (0,))[0]
    return _either(of(needed_input(node, 0)), (value, value))


def _put(count: Callable[[ir.Node], int]) -> Rule:
    """count: updates that may go to one element."""

    def rule(node: ir.Node, output: ir.Value, of: Of) -> Extent:
        (low, high), (least, most), times = of(needed_input(node, 0)), of(needed_input(node, 2)), count(node)
        match text(node, "reduction", "none"):
            case "add":
                return low + times * min(least, 0), high + times * max(most, 0)
            case "mul":
                factor = max(abs(least), abs(most), 1) ** min(times, 64)  # of 2^64 on nothing fits
                return _product((low, high), (-factor, factor))
        return _either((low, high), (least, most))

    return rule


def _of_line(node: ir.Node) -> int:
    return shape_of(needed_input(node, 1))[integer(node, "axis", 0)]


def _of_all_parts(node: ir.Node) -> int:
    return math.prod(shape_of(needed_input(node, 1))[:-1])


_MOVERS = ("Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose")
_RULES: dict[str, Rule] = {
    **dict.fromkeys((*_MOVERS, "Unsqueeze", "ReduceMax", "ReduceMin"), _of_one(lambda low, high: (low, high))),
    "Abs": _of_one(lambda low, high: (max(low, -high, 0), max(-low, high))),
    "Add": _of_two(lambda a, b: (a[0] + b[0], a[1] + b[1])),
    "ArgMax": _places(0),
    "ArgMin": _places(0),
    "Cast": _cast,
    "Concat": lambda node, output, of: _either(*(of(value) for value in node.inputs if value is not None)),
    "CumSum": _running,
    "Div": _over,
    "Max": _of_all(max),
    "Min": _of_all(min),
    "Mul": _times,
    "Neg": _of_one(lambda low, high: (-high, -low)),
    "Pad": _pad,
    "ReduceSum": _sum,
    "ScatterElements": _put(_of_line),
    "ScatterND": _put(_of_all_parts),
    "Sub": _difference,
    "TopK": _top,
    "Where": lambda node, output, of: _either(of(needed_input(node, 1)), of(needed_input(node, 2))),
}
"""op_type -> the range of its integer output"""
