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
from axbuild.toolchain.rewrites.spelled import POINTWISE, Spelled, spellings

POINTS = np.concatenate([np.linspace(-12.0, 12.0, 481), np.linspace(-1.0, 1.0, 201)])
TOLERANCE = 1e-6
"""of a candidate at a point x, times 1 + |x|; constants such as 0.044715 are float32"""
INVERSE_SIGMOID = "InverseSigmoid"
TERMS = 64
"""roundings of all the steps that an activation is spelled with"""


@dataclass(frozen=True)
class Recognised:
    """op_type, attributes: what the steps are together."""

    spelled: Spelled
    op_type: str
    attributes: dict[str, Any]


class FuseActivation(Rewrite[Recognised]):
    """f(x) of several operators -> Swish, HardSwish, Gelu, Mish, Softplus, Sigmoid, HardSigmoid or InverseSigmoid,
    where f is that function.

    The spelling does not matter: what is computed from one tensor and scalars, element by element, is evaluated and
    compared with each of them.
    """

    op = ("Add", "Clip", "Div", "Log", "Max", "Min", "Mul", "Relu", "Sub")
    is_needed = False

    def match(self, node: ir.Node) -> Recognised | NoMatch:
        found = (_recognised(spelled) for spelled in spellings(node, _is_step))
        activation = next((item for item in found if item is not None), None)
        return activation or NoMatch(f"what {node.op_type} ends is no activation of one tensor")

    def replace(self, node: ir.Node, found: Recognised, steps: Steps) -> ir.Value:
        spelled = found.spelled
        domain = DOMAIN if found.op_type == INVERSE_SIGMOID else ""
        return steps.insert(
            found.op_type, [spelled.x], found.attributes, origins=spelled.nodes, domain=domain, spelled=True
        )

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
            if np.all(np.abs(values - wanted) <= TOLERANCE * (1.0 + np.abs(POINTS))):
                return Recognised(spelled, op_type, attributes)
    return None


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
    most = float(values[480])
    least = math.exp(-most) if most > 0.0 else 1.0
    if 0.0 < least < 0.5:
        eps = float(np.float32(least))
        found.append((INVERSE_SIGMOID, {"eps": eps}, functions.inverse_sigmoid(x, eps)))
    beta, slope = at[0.0], at[1.0] - at[0.0]
    if slope > 0.0 and 0.0 < beta < 1.0 and at[1.0] < 1.0:
        found.append(("HardSigmoid", {"alpha": slope, "beta": beta}, np.clip(slope * x + beta, 0.0, 1.0)))
    return found
