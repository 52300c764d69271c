"""Activations that an exporter spelled out, as one operator, whatever the spelling."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import Edit, NoMatch, Rewrite, Rounding
from axbuild.toolchain.graph import Array, constant_of, is_activation, real, shape_of
from axbuild.toolchain.kinds import functions
from axbuild.toolchain.named import DOMAIN

LONGEST = 24
"""operators that one activation is spelled with, at most"""
POINTS = np.concatenate([np.linspace(-12.0, 12.0, 481), np.linspace(-1.0, 1.0, 201)])
TOLERANCE = 1e-6
"""of a candidate at a point x, times 1 + |x|; constants such as 0.044715 are float32"""
INVERSE_SIGMOID = "InverseSigmoid"
TERMS = 64
"""roundings of all the steps that an activation is spelled with"""


def _hard_sigmoid(node: ir.Node, x: Array) -> Array:
    y: Array = np.clip(real(node, "alpha", 0.2) * x + real(node, "beta", 0.5), 0.0, 1.0)
    return y


STEPS: dict[str, Callable[..., Array]] = {
    "Add": lambda node, a, b: a + b,
    "Clip": lambda node, x, lo=-np.inf, hi=np.inf: np.minimum(np.maximum(x, lo), hi),
    "Div": lambda node, a, b: a / b,
    "Erf": lambda node, x: functions.erf(x),
    "Exp": lambda node, x: functions.power_of_e(x),
    "HardSigmoid": _hard_sigmoid,
    "Identity": lambda node, x: x,
    "Log": lambda node, x: functions.log(x),
    "Max": lambda node, *values: np.maximum.reduce(np.broadcast_arrays(*values)),
    "Min": lambda node, *values: np.minimum.reduce(np.broadcast_arrays(*values)),
    "Mul": lambda node, a, b: a * b,
    "Neg": lambda node, x: -x,
    "Pow": lambda node, x, c: functions.power(x, float(c)) if np.ndim(c) == 0 else np.full_like(POINTS, np.nan),
    "Reciprocal": lambda node, x: 1.0 / x,
    "Relu": lambda node, x: np.maximum(x, 0.0),
    "Sigmoid": lambda node, x: functions.sigmoid(x),
    "Softplus": lambda node, x: functions.softplus(x),
    "Sub": lambda node, a, b: a - b,
    "Tanh": lambda node, x: functions.tanh(x),
}
"""op_type -> what it makes of float64 values, of which constants are scalars"""


@dataclass(frozen=True)
class Spelling:
    """nodes: all steps from x on, last first; op_type, attributes: what they are together."""

    x: ir.Value
    nodes: tuple[ir.Node, ...]
    op_type: str
    attributes: dict[str, Any]


class FuseActivation(Rewrite[Spelling]):
    """f(x) of several operators -> Swish, HardSwish, Gelu, Mish, Softplus, Sigmoid, HardSigmoid or InverseSigmoid

    The spelling does not matter: what is computed from one tensor and scalars, element by element, is evaluated and
    compared with each of them.
    """

    op = ("Add", "Clip", "Div", "Log", "Max", "Min", "Mul", "Relu", "Sub")
    is_needed = False

    def match(self, node: ir.Node) -> Spelling | NoMatch:
        nodes = [node]
        while len(nodes) <= LONGEST and _is_step(nodes[-1]):
            sources = list(dict.fromkeys(v for step in nodes for v in _computed(step) if v.producer() not in nodes))
            if len(sources) == 1 and len(nodes) > 1 and (found := _recognised(nodes, sources[0])) is not None:
                return found
            producers = [step for value in sources if (step := value.producer()) is not None and _is_step(step)]
            # One that no other depends on, so that the nodes stay in order, last first.
            behind = {ancestor for producer in producers for ancestor in _ancestors(producer)}
            last = next((producer for producer in producers if producer not in behind), None)
            if last is None:
                break
            nodes.append(last)
        return NoMatch(f"what {node.op_type} ends is no activation of one tensor")

    def replace(self, node: ir.Node, found: Spelling, edit: Edit) -> ir.Value:
        domain = DOMAIN if found.op_type == INVERSE_SIGMOID else ""
        return edit.insert(node, found.op_type, [found.x], found.attributes, origins=found.nodes, domain=domain)

    def rounding(self, node: ir.Node, found: Spelling) -> Rounding:
        return Rounding(TERMS, ((found.x, 1.0),), 1.0)


def _is_step(node: ir.Node) -> bool:
    """Whether the node works element by element on computed tensors and single constants."""
    constants = (constant_of(value) for value in node.inputs)
    return node.op_type in STEPS and not node.domain and all(array is None or array.size == 1 for array in constants)


def _computed(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and is_activation(value)]


def _ancestors(node: ir.Node) -> set[ir.Node]:
    """The steps before a node, as far as one activation may reach."""
    found: set[ir.Node] = set()
    waiting = deque([node])
    while waiting and len(found) <= LONGEST:
        for value in _computed(waiting.popleft()):
            producer = value.producer()
            if producer is not None and producer not in found and _is_step(producer):
                found.add(producer)
                waiting.append(producer)
    return found


def _recognised(nodes: list[ir.Node], x: ir.Value) -> Spelling | None:
    """The activation that the nodes, last first, make of x."""
    if x.dtype != ir.DataType.FLOAT or shape_of(x) != shape_of(nodes[0].outputs[0]):
        return None
    values = _evaluated(nodes, x)
    if values.shape == POINTS.shape and np.isfinite(values).all():
        for op_type, attributes, wanted in _candidates(values):
            if np.all(np.abs(values - wanted) <= TOLERANCE * (1.0 + np.abs(POINTS))):
                return Spelling(x, tuple(nodes), op_type, attributes)
    return None


def _evaluated(nodes: list[ir.Node], x: ir.Value) -> Array:
    """float64: what the nodes make of the points."""
    known: dict[ir.Value, Array] = {x: POINTS}
    with np.errstate(all="ignore"):
        for node in reversed(nodes):
            inputs = [_value(value, known) for value in node.inputs if value is not None]
            known[node.outputs[0]] = STEPS[node.op_type](node, *inputs)
    return known[nodes[0].outputs[0]]


def _value(value: ir.Value, known: dict[ir.Value, Array]) -> Array:
    constant = constant_of(value)
    return known[value] if constant is None else constant.reshape(-1)[0].astype(np.float64)


def _candidates(values: Array) -> list[tuple[str, dict[str, Any], Array]]:
    """(op_type, attributes, what it makes of the points); alpha and beta are those that fit single points."""
    x = POINTS
    at = {point: float(np.interp(point, x[:481], values[:481])) for point in (0.0, 1.0)}
    found: list[tuple[str, dict[str, Any], Array]] = [
        ("HardSwish", {}, x * np.clip(x / 6.0 + 0.5, 0.0, 1.0)),
        ("Gelu", {}, functions.gelu(x)),
        ("Gelu", {"approximate": "tanh"}, functions.gelu_by_tanh(x)),
        ("Mish", {}, functions.mish(x)),
        ("Softplus", {}, functions.softplus(x)),
        ("Sigmoid", {}, functions.sigmoid(x)),
    ]
    if 0.0 < at[1.0] < 1.0:
        alpha = float(np.float32(math.log(at[1.0] / (1.0 - at[1.0]))))
        found.insert(
            0, ("Swish", {"alpha": alpha} if abs(alpha - 1.0) > TOLERANCE else {}, x * functions.sigmoid(alpha * x))
        )
    least = math.exp(-float(values[480]))
    if 0.0 < least < 0.5:
        eps = float(np.float32(least))
        found.append((INVERSE_SIGMOID, {"eps": eps}, functions.inverse_sigmoid(x, eps)))
    beta, slope = at[0.0], at[1.0] - at[0.0]
    if slope > 0.0 and 0.0 < beta < 1.0 and at[1.0] < 1.0:
        found.append(("HardSigmoid", {"alpha": slope, "beta": beta}, np.clip(slope * x + beta, 0.0, 1.0)))
    return found
