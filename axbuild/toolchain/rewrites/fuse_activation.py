"""Activations that an exporter spelled out, as one operator, whatever the spelling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of, shape_of
from axbuild.toolchain.kinds import functions
from axbuild.toolchain.named import DOMAIN
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps
from axbuild.toolchain.rewrites.scaled_elu import times
from axbuild.toolchain.rewrites.spelled import POINTWISE, Spelled, spellings

POINTS = np.concatenate([np.linspace(-12.0, 12.0, 481), np.linspace(-1.0, 1.0, 201)])
TOLERANCE = 1e-6
"""of a candidate at a point x, times 1 + |x|; constants such as 0.044715 are float32"""
INVERSE_SIGMOID = "InverseSigmoid"
TERMS = 64
"""roundings of all the steps that an activation is spelled with"""


@dataclass(frozen=True)
class Recognised:
    """op_type, attributes: what the steps are together; before, behind: what x and the result are multiplied by."""

    spelled: Spelled
    op_type: str
    attributes: dict[str, Any]
    before: float = 1.0
    behind: float = 1.0

    @property
    def is_news(self) -> bool:
        """Whether the spelling lacks that operator, or has more around it."""
        nodes = self.spelled.nodes
        spread = len(nodes) > 1 + (self.before != 1.0) + (self.behind != 1.0)
        return spread or all(node.op_type != self.op_type for node in nodes)


class FuseActivation(Rewrite[Recognised]):
    """f(x) of several operators -> Elu, Gelu, HardSigmoid, HardSwish, InverseSigmoid, LeakyRelu, Mish, Relu, Sigmoid,
    Softplus or Swish, where f is that function; Mul(Elu(Mul(x, a)), b) where it is a Selu or Celu, and
    Mul(Softplus(Mul(x, a)), 1 / a) where it is a softplus of another sharpness, or the logarithm of a sigmoid

    The spelling does not matter: what is computed from one tensor and scalars, element by element, is evaluated and
    compared with each of them.
    """

    op = ("Add", "Clip", "Div", "Log", "Max", "Min", "Mul", "Relu", "Sub", "Where")
    is_needed = False

    def match(self, node: ir.Node) -> Recognised | NoMatch:
        found = (_recognised(spelled) for spelled in spellings(node, _is_step))
        activation = next((item for item in found if item is not None and item.is_news), None)
        return activation or NoMatch(f"what {node.op_type} ends is no activation of one tensor")

    def replace(self, node: ir.Node, found: Recognised, steps: Steps) -> ir.Value:
        domain = DOMAIN if found.op_type == INVERSE_SIGMOID else ""
        origins = found.spelled.nodes
        x = times(found.spelled.x, found.before, "before", steps)
        shape = shape_of(x)
        y = steps.insert(
            found.op_type, [x], found.attributes, shape=shape, origins=origins, domain=domain, spelled=True
        )
        return times(y, found.behind, "behind", steps)

    def rounding(self, node: ir.Node, found: Recognised) -> Rounding:
        return Rounding(TERMS, ((found.spelled.x, 1.0),), 1.0)


def _is_step(node: ir.Node) -> bool:
    """Whether the node works element by element on computed tensors and single constants."""
    constants = (constant_of(value) for value in node.inputs)
    return (
        node.op_type in POINTWISE and not node.domain and all(array is None or array.size == 1 for array in constants)
    )


def _recognised(spelled: Spelled) -> Recognised | None:
    """The activation that the nodes make of x."""
    if spelled.x.dtype != ir.DataType.FLOAT or shape_of(spelled.x) != shape_of(spelled.nodes[0].outputs[0]):
        return None
    values = spelled.made_of(POINTS, POINTWISE)
    if values.shape == POINTS.shape and np.isfinite(values).all():
        for op_type, attributes, wanted in _candidates(values):
            if _agree(values, wanted):
                return Recognised(spelled, op_type, attributes)
        return _bent(spelled, values) or _soft(spelled, values)
    return None


def _agree(values: Array, wanted: Array) -> bool:
    return bool(np.all(np.abs(values - wanted) <= TOLERANCE * (1.0 + np.abs(POINTS))))


def _at(values: Array, point: float) -> float:
    return float(np.interp(point, POINTS[:481], values[:481]))


def _bent(spelled: Spelled, values: Array) -> Recognised | None:
    """slope x above 0, depth (exp(rate x) - 1) below: Elu, and between factors Selu and Celu."""
    slope, first, second = (_at(values, point) for point in (1.0, -1.0, -2.0))
    if slope <= 0.0 or first >= 0.0 or not 1.0 < second / first < 2.0:
        return None
    rate = -math.log(second / first - 1.0)
    rate = 1.0 if abs(rate - 1.0) < TOLERANCE else rate
    depth = first / (math.exp(-rate) - 1.0)
    if not _agree(
        values, np.where(POINTS < 0.0, depth * (np.exp(np.minimum(rate * POINTS, 0.0)) - 1.0), slope * POINTS)
    ):
        return None
    behind = slope / rate
    alpha = float(np.float32(depth / behind))
    return Recognised(spelled, "Elu", {"alpha": alpha}, rate, 1.0 if abs(behind - 1.0) < TOLERANCE else behind)


def _soft(spelled: Spelled, values: Array) -> Recognised | None:
    """softplus(b x) / b, which below 0 is the logarithm of a sigmoid."""
    sharpness = math.log(2.0) / (_at(values, 0.0) or math.inf)
    if not sharpness or not _agree(values, functions.softplus(sharpness * POINTS) / sharpness):
        return None
    sharpness = float(np.round(sharpness, 6))
    return Recognised(spelled, "Softplus", {}, sharpness, 1.0 / sharpness)


def _candidates(values: Array) -> list[tuple[str, dict[str, Any], Array]]:
    """(op_type, attributes, what it makes of the points); alpha and beta are those that fit single points."""
    x = POINTS
    at = {point: _at(values, point) for point in (-1.0, 0.0, 1.0)}
    found: list[tuple[str, dict[str, Any], Array]] = [
        ("HardSwish", {}, x * np.clip(x / 6.0 + 0.5, 0.0, 1.0)),
        ("Gelu", {}, functions.gelu(x)),
        ("Gelu", {"approximate": "tanh"}, functions.gelu_by_tanh(x)),
        ("Mish", {}, functions.mish(x)),
        ("Softplus", {}, functions.softplus(x)),
        ("Sigmoid", {}, functions.sigmoid(x)),
        ("Relu", {}, np.maximum(x, 0.0)),
    ]
    leak = -at[-1.0]
    if 0.0 < leak < 1.0:
        found.append(("LeakyRelu", {"alpha": leak}, np.where(x < 0.0, leak * x, x)))
    if 0.0 < at[1.0] < 1.0:
        alpha = float(np.float32(math.log(at[1.0] / (1.0 - at[1.0]))))
        found.insert(
            0, ("Swish", {"alpha": alpha} if abs(alpha - 1.0) > TOLERANCE else {}, x * functions.sigmoid(alpha * x))
        )
    most = float(values[480])
    eps = float(np.float32(math.exp(-most))) if most > 0.0 else 1.0
    if 0.0 < eps < 0.5:
        found.append((INVERSE_SIGMOID, {"eps": eps}, functions.inverse_sigmoid(x, eps)))
    beta, slope = at[0.0], at[1.0] - at[0.0]
    if slope > 0.0 and 0.0 < beta < 1.0 and at[1.0] < 1.0:
        found.append(("HardSigmoid", {"alpha": slope, "beta": beta}, np.clip(slope * x + beta, 0.0, 1.0)))
    return found
