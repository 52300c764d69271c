"""Activations of one tensor, element by element: a table, behind the accumulator of a layer where there is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_input, real, text
from axbuild.toolchain.kinds import functions
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.float_function import FORMULAS, FloatFunction
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.ops.base import Follow, Function, Limit, Op, SettledNode, Step

Curve = Callable[[Array], Array]
"""a function of float64 reals"""


class ActivationOp(Op):
    """y = f(x)"""

    reals_too = True

    def curve(self, node: ir.Node) -> Curve:
        """f"""
        raise NotImplementedError

    def follows(self, node: ir.Node) -> Follow | None:
        if any(self.refusals(node)):
            return None  # it may have no curve
        return Follow(function=Function(self.onnx, self.curve(node)))

    def island(self, node: ir.Node) -> Kind | None:
        name = self.formula(node)
        return FloatFunction.of(name, *self.numbers(node)) if name in FORMULAS else None

    def formula(self, node: ir.Node) -> str:
        """The name of its formula in float32."""
        return self.onnx

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        """What the formula takes."""
        return ()

    def lower(self, q: SettledNode) -> list[Step]:
        function = q.fused.function or Function(self.onnx, self.curve(q.node))
        return q.single(Table.of(function.name, function.real, q.x(), q.y), q.input(0))


def _examples(name: str, *kinds: str) -> tuple[str, ...]:
    """Names of ONNX's node cases."""
    return tuple(f"test_{name}{kind}" for kind in ("", *kinds))


class CeilOp(ActivationOp):
    """The smallest whole number that is not below x."""

    onnx = "Ceil"
    cases = _examples("ceil", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return np.ceil


class CosOp(ActivationOp):
    """cos x"""

    onnx = "Cos"
    cases = _examples("cos", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.cos


class EluOp(ActivationOp):
    """x where x >= 0, alpha (e^x - 1) elsewhere"""

    onnx = "Elu"
    cases = _examples("elu", "_example", "_default")

    def curve(self, node: ir.Node) -> Curve:
        (alpha,) = self.numbers(node)
        return lambda x: np.where(x < 0.0, alpha * (functions.power_of_e(np.minimum(x, 0.0)) - 1.0), x)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        return (real(node, "alpha", 1.0),)


class ErfOp(ActivationOp):
    """erf x"""

    onnx = "Erf"
    cases = _examples("erf")

    def curve(self, node: ir.Node) -> Curve:
        return functions.erf


class ExpOp(ActivationOp):
    """e^x"""

    onnx = "Exp"
    cases = _examples("exp", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.power_of_e


class FloorOp(ActivationOp):
    """The largest whole number that is not above x."""

    onnx = "Floor"
    cases = _examples("floor", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return np.floor


class GeluOp(ActivationOp):
    """x / 2 (1 + erf(x / sqrt 2)), or its approximation by tanh"""

    onnx = "Gelu"
    cases = ("test_gelu_default_1", "test_gelu_default_2", "test_gelu_tanh_1", "test_gelu_tanh_2")

    def curve(self, node: ir.Node) -> Curve:
        return functions.gelu if self.formula(node) == self.onnx else functions.gelu_by_tanh

    def formula(self, node: ir.Node) -> str:
        return "GeluByTanh" if text(node, "approximate", "none") == "tanh" else self.onnx


class HardSigmoidOp(ActivationOp):
    """min(max(alpha x + beta, 0), 1)"""

    onnx = "HardSigmoid"
    cases = _examples("hardsigmoid", "_example", "_default")

    def curve(self, node: ir.Node) -> Curve:
        alpha, beta = self.numbers(node)
        return lambda x: np.clip(alpha * x + beta, 0.0, 1.0)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        return real(node, "alpha", 0.2), real(node, "beta", 0.5)


class HardSwishOp(ActivationOp):
    """x min(max(x + 3, 0), 6) / 6"""

    onnx = "HardSwish"
    cases = _examples("hardswish")

    def curve(self, node: ir.Node) -> Curve:
        return lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0


class InverseSigmoidOp(ActivationOp):
    """ln(max(c, eps) / max(1 - c, eps)), c = x between 0 and 1"""

    onnx = "InverseSigmoid"

    def curve(self, node: ir.Node) -> Curve:
        (eps,) = self.numbers(node)
        return lambda x: functions.inverse_sigmoid(x, eps)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        return (real(node, "eps", 1e-5),)


class LeakyReluOp(ActivationOp):
    """x where x >= 0, alpha x elsewhere"""

    onnx = "LeakyRelu"
    cases = _examples("leakyrelu", "_default", "_example")

    def curve(self, node: ir.Node) -> Curve:
        (alpha,) = self.numbers(node)
        return lambda x: np.where(x < 0.0, alpha * x, x)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        return (real(node, "alpha", 0.01),)


class MishOp(ActivationOp):
    """x tanh(ln(1 + e^x))"""

    onnx = "Mish"
    cases = _examples("mish")

    def curve(self, node: ir.Node) -> Curve:
        return functions.mish


class PowOp(ActivationOp):
    """x^c with a constant exponent c; where c is not whole, a negative x counts as 0."""

    onnx = "Pow"
    limits = (Limit("its exponent must be one constant", lambda n: _exponent(n) is not None),)
    soi = (1,)
    cases = ("test_pow_bcast_scalar",)

    def curve(self, node: ir.Node) -> Curve:
        (exponent,) = self.numbers(node)
        return lambda x: functions.power(x, exponent)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        exponent = _exponent(node)
        if exponent is None:
            raise ValueError(f"the exponent of '{node.name}' is not constant")
        return (exponent,)


def _exponent(node: ir.Node) -> float | None:
    constant = constant_input(node, 1)
    return float(constant.reshape(-1)[0]) if constant is not None and constant.size == 1 else None


class RoundOp(ActivationOp):
    """The whole number nearest to x, the even one of two."""

    onnx = "Round"
    cases = _examples("round")

    def curve(self, node: ir.Node) -> Curve:
        return np.rint


class SigmoidOp(ActivationOp):
    """1 / (1 + e^-x)"""

    onnx = "Sigmoid"
    cases = _examples("sigmoid", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.sigmoid


class SinOp(ActivationOp):
    """sin x"""

    onnx = "Sin"
    cases = _examples("sin", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.sin


class SoftplusOp(ActivationOp):
    """ln(1 + e^x)"""

    onnx = "Softplus"
    cases = _examples("softplus", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.softplus


class SqrtOp(ActivationOp):
    """The square root; of a negative x that rounding made, 0."""

    onnx = "Sqrt"
    cases = _examples("sqrt", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return lambda x: np.sqrt(np.maximum(x, 0.0))


class SwishOp(ActivationOp):
    """x / (1 + e^(-alpha x))"""

    onnx = "Swish"
    cases = _examples("swish")

    def curve(self, node: ir.Node) -> Curve:
        (alpha,) = self.numbers(node)
        return lambda x: x * functions.sigmoid(alpha * x)

    def numbers(self, node: ir.Node) -> tuple[float, ...]:
        return (real(node, "alpha", 1.0),)


class TanhOp(ActivationOp):
    """tanh x"""

    onnx = "Tanh"
    cases = _examples("tanh", "_example")

    def curve(self, node: ir.Node) -> Curve:
        return functions.tanh
