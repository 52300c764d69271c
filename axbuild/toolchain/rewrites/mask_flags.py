"""Which truth values decide a mask that is computed, whatever the steps between them are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of, integer, is_activation, shape_of
from axbuild.toolchain.masks import HIDDEN

LONGEST = 12
"""steps between the truth values and what is added"""

MOVERS = ("Expand", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")
"""operators that lay out the elements of their first input anew"""

Step = Callable[..., Array]


def _cast(node: ir.Node, x: Array) -> Array:
    found: Array = x.astype(ir.DataType(integer(node, "to", 1)).numpy())
    return found


def _where(node: ir.Node, condition: Array, a: Array, b: Array) -> Array:
    found: Array = np.where(condition, a, b)
    return found


STEPS: dict[str, Step] = {
    "Add": lambda node, a, b: a + b,
    "And": lambda node, a, b: a & b,
    "Cast": _cast,
    "Div": lambda node, a, b: a / b,
    "Equal": lambda node, a, b: a == b,
    "Greater": lambda node, a, b: a > b,
    "GreaterOrEqual": lambda node, a, b: a >= b,
    "Less": lambda node, a, b: a < b,
    "LessOrEqual": lambda node, a, b: a <= b,
    "Log": lambda node, x: np.log(x),
    "Mul": lambda node, a, b: a * b,
    "Neg": lambda node, x: -x,
    "Not": lambda node, x: ~x,
    "Or": lambda node, a, b: a | b,
    "Sub": lambda node, a, b: a - b,
    "Where": _where,
}
"""op_type -> what it makes of arrays, of which constants have one element"""


@dataclass(frozen=True)
class Flags:
    """A mask hides where `source`, of truth values or whole numbers, is 0; without `at_zero`, where it is 1.

    movers, last first: operators that lay it out anew on the way.
    """

    source: ir.Value
    movers: tuple[ir.Node, ...]
    at_zero: bool


def flags_of(value: ir.Value) -> Flags | None:
    """The nearest truth values or whole numbers that decide all of a computed mask."""
    movers: list[ir.Node] = []
    cones: list[list[ir.Node]] = []
    for _ in range(LONGEST):
        node = value.producer()
        if node is None or node.domain:
            return None
        if _moves(node):
            movers.append(node)
        else:
            cone = _cone(node)
            if not cone:
                return None
            cones.append(cone)
        value = _sources(movers[-1:] if _moves(node) else cones[-1])[0]
        if value.dtype in (ir.DataType.BOOL, ir.DataType.INT32, ir.DataType.INT64) and cones:
            at_zero, at_one = _evaluated(cones, value)
            if at_zero <= HIDDEN and at_one == 0.0:
                return Flags(value, tuple(movers), at_zero=True)
            if at_one <= HIDDEN and at_zero == 0.0:
                return Flags(value, tuple(movers), at_zero=False)
    return None


def _moves(node: ir.Node) -> bool:
    return node.op_type in MOVERS and not any(is_activation(value) for value in node.inputs[1:])


def _cone(last: ir.Node) -> list[ir.Node]:
    """Nodes, last first, that make the output of `last` of one tensor, element by element; [] where none do."""
    nodes = [last]
    while len(nodes) <= LONGEST:
        sources = _sources(nodes)
        if not all(_is_step(node, shape_of(last.outputs[0])) for node in nodes) or not sources:
            return []
        if len(sources) == 1:
            return nodes if shape_of(sources[0]) == shape_of(last.outputs[0]) else []
        producers = [producer for value in sources if (producer := value.producer()) is not None]
        # the one that none of the others depends on
        behind = {value.producer() for node in producers for value in _sources([node])}
        following = next((node for node in producers if node not in behind), None)
        if following is None:
            return []
        nodes.append(following)
    return []


def _is_step(node: ir.Node, shape: tuple[int, ...]) -> bool:
    constants = (constant_of(value) for value in node.inputs)
    plain = node.op_type in STEPS and not node.domain and shape_of(node.outputs[0]) == shape
    return plain and all(array is None or array.size == 1 for array in constants)


def _sources(nodes: list[ir.Node]) -> list[ir.Value]:
    """What nodes read of others."""
    made = {node.outputs[0] for node in nodes}
    return list(dict.fromkeys(value for value in _computed(nodes) if value not in made))


def _computed(nodes: list[ir.Node]) -> Iterator[ir.Value]:
    for node in nodes:
        yield from (value for value in node.inputs if value is not None and is_activation(value))


def _evaluated(cones: list[list[ir.Node]], source: ir.Value) -> tuple[float, float]:
    """What the mask is where the source is 0, and where it is 1."""
    found = np.array([0, 1]).astype((source.dtype or ir.DataType.BOOL).numpy())
    with np.errstate(all="ignore"):
        for cone in reversed(cones):
            known = {_sources(cone)[0]: found}
            for node in reversed(cone):
                inputs = [_value(value, known) for value in node.inputs if value is not None]
                known[node.outputs[0]] = STEPS[node.op_type](node, *inputs)
            found = known[cone[0].outputs[0]]
    return float(found[0]), float(found[1])


def _value(value: ir.Value, known: dict[ir.Value, Array]) -> Array:
    constant = constant_of(value)
    return known[value] if constant is None else constant.reshape(-1)
