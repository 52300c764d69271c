"""Exponential units with factors of their own, by the one that every chip has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import needed_input, real, shape_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps

ALPHA, GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
"""of a Selu that states none"""
TERMS = 16
"""roundings of a power and the products around it"""


@dataclass(frozen=True)
class UnitFactors:
    """before: of x; behind: of the result; alpha: of the Elu between."""

    before: float
    alpha: float
    behind: float


class ScaledElu(Rewrite[UnitFactors]):
    """Selu(x; alpha, gamma) -> Mul(Elu(x; alpha), gamma)
    Celu(x; alpha) -> Mul(Elu(Mul(x, 1 / alpha)), alpha)
    """

    op = ("Celu", "Selu")

    def match(self, node: ir.Node) -> UnitFactors | NoMatch:
        if node.op_type == "Selu":
            return UnitFactors(1.0, real(node, "alpha", ALPHA), real(node, "gamma", GAMMA))
        alpha = real(node, "alpha", 1.0)
        return UnitFactors(1.0 / alpha, 1.0, alpha) if alpha else NoMatch("Celu has an alpha of 0")

    def replace(self, node: ir.Node, found: UnitFactors, steps: Steps) -> ir.Value:
        x = times(needed_input(node, 0), found.before, "before", steps)
        y = steps.insert("Elu", [x], {"alpha": found.alpha}, shape=shape_of(x))
        return times(y, found.behind, "behind", steps)

    def rounding(self, node: ir.Node, found: UnitFactors) -> Rounding:
        slope = abs(found.behind) * max(1.0, abs(found.alpha))
        return Rounding(TERMS, ((needed_input(node, 0), slope),), slope)


def times(value: ir.Value, factor: float, name: str, steps: Steps) -> ir.Value:
    """The product with a number; the value itself where that is 1."""
    if factor == 1.0:
        return value
    number = steps.constant(np.array(factor, np.float32), f"{name}.factor")
    return steps.insert("Mul", [value, number], name=name, shape=shape_of(value))
