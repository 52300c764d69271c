"""What several operators make of one tensor, found by computing it: how an exporter spelled it does not matter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import KEPT, Array, constant_of, integer, is_activation, real
from axbuild.toolchain.kinds import functions

LONGEST = 24
"""operators that one function is spelled with, at most"""

Step = Callable[..., Array | list[Array]]
"""What an operator makes of its node and float64 values; a list where it has several outputs"""


def _hard_sigmoid(node: ir.Node, x: Array) -> Array:
    y: Array = np.clip(real(node, "alpha", 0.2) * x + real(node, "beta", 0.5), 0.0, 1.0)
    return y


def _bent(node: ir.Node, x: Array) -> Array:
    y: Array = np.where(x < 0.0, real(node, "alpha", 1.0) * (functions.power_of_e(np.minimum(x, 0.0)) - 1.0), x)
    return y


def _cast(node: ir.Node, x: Array) -> Array:
    return x.astype(np.float64) if integer(node, "to", 0) == ir.DataType.FLOAT else np.full(x.shape, np.nan)


def _chosen(node: ir.Node, condition: Array, a: Array, b: Array) -> Array:
    y: Array = np.where(condition, a, b)
    return y


def _clipped(node: ir.Node, x: Array, lo: Array | None = None, hi: Array | None = None) -> Array:
    y: Array = np.minimum(np.maximum(x, -np.inf if lo is None else lo), np.inf if hi is None else hi)
    return y


def _power(node: ir.Node, x: Array, exponent: Array) -> Array:
    return functions.power(x, float(exponent)) if np.ndim(exponent) == 0 else np.full_like(x, np.nan)


POINTWISE: Mapping[str, Step] = {
    "Abs": lambda node, x: np.abs(x),
    "Add": lambda node, a, b: a + b,
    "Cast": _cast,
    "Clip": _clipped,
    "Div": lambda node, a, b: a / b,
    "Elu": _bent,
    "Erf": lambda node, x: functions.erf(x),
    "Exp": lambda node, x: functions.power_of_e(x),
    "Greater": lambda node, a, b: a > b,
    "GreaterOrEqual": lambda node, a, b: a >= b,
    "HardSigmoid": _hard_sigmoid,
    "Identity": lambda node, x: x,
    "LeakyRelu": lambda node, x: np.where(x < 0.0, real(node, "alpha", 0.01) * x, x),
    "Less": lambda node, a, b: a < b,
    "LessOrEqual": lambda node, a, b: a <= b,
    "Log": lambda node, x: functions.log(x),
    "Max": lambda node, *values: np.maximum.reduce(np.broadcast_arrays(*values)),
    "Min": lambda node, *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "Mul": lambda node, a, b: a * b,
    "Neg": lambda node, x: -x,
    "Pow": _power,
    "Reciprocal": lambda node, x: 1.0 / x,
    "Relu": lambda node, x: np.maximum(x, 0.0),
    "Sigmoid": lambda node, x: functions.sigmoid(x),
    "Softplus": lambda node, x: functions.softplus(x),
    "Sqrt": lambda node, x: np.sqrt(x),
    "Sub": lambda node, a, b: a - b,
    "Tanh": lambda node, x: functions.tanh(x),
    "Where": _chosen,
}
"""op_type -> its step, where it works element by element"""


@dataclass(frozen=True)
class Spelled:
    """nodes: all operators from x on, last first."""

    x: ir.Value
    nodes: tuple[ir.Node, ...]

    def made_of(self, x: Array, steps: Mapping[str, Step]) -> Array:
        """float64: what the last node makes of values of x. A constant of one element counts as a number."""
        known: dict[ir.Value, Array] = {self.x: x}
        with np.errstate(all="ignore"):
            for node in reversed(self.nodes):
                inputs = [None if value is None else _values(value, known) for value in node.inputs]
                made = steps[node.op_type](node, *inputs)
                known.update(zip(node.outputs, made if isinstance(made, list) else [made], strict=False))
        return known[self.nodes[0].outputs[0]]


def _values(value: ir.Value, known: Mapping[ir.Value, Array]) -> Array:
    constant = constant_of(value)
    if constant is None:
        return known[value]
    return constant.reshape(()).astype(np.float64) if constant.size == 1 else constant.astype(np.float64)


def spellings(node: ir.Node, is_step: Callable[[ir.Node], bool]) -> Iterator[Spelled]:
    """What ends in the node, has more than one step and reads one tensor; from the least to the most of it."""
    nodes = [node]
    reached: dict[ir.Node, set[ir.Node]] = {}
    while len(nodes) <= LONGEST and is_step(nodes[-1]):
        sources = list(dict.fromkeys(v for step in nodes for v in _computed(step) if v.producer() not in nodes))
        if len(sources) == 1 and len(nodes) > 1:
            yield Spelled(sources[0], tuple(nodes))
        made = [
            step for value in sources if KEPT not in value.metadata_props and (step := value.producer()) is not None
        ]
        producers = [step for step in made if is_step(step)]
        # One that no other depends on, so that the nodes stay in order, last first.
        reached |= {producer: _ancestors(producer, is_step) for producer in producers if producer not in reached}
        behind = {ancestor for producer in producers for ancestor in reached[producer]}
        last = next((producer for producer in producers if producer not in behind), None)
        if last is None:
            return
        nodes.append(last)


def _computed(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and is_activation(value)]


def _ancestors(node: ir.Node, is_step: Callable[[ir.Node], bool]) -> set[ir.Node]:
    """The steps before a node, as far as one function may reach."""
    found: set[ir.Node] = set()
    waiting = deque([node])
    while waiting and len(found) <= LONGEST:
        for value in _computed(waiting.popleft()):
            producer = value.producer()
            if producer is not None and producer not in found and is_step(producer):
                found.add(producer)
                waiting.append(producer)
    return found
