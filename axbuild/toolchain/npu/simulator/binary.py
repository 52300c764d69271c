"""Arithmetic on two activations that are codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.binary import BinaryAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks

Combine = Callable[[Array, Array, float], Array]
"""(left, right: centred codes times their factors as int64, multiplier) -> float64, yet to be rounded"""


def _sum(left: Array, right: Array, multiplier: float) -> Array:
    return (left + right) * multiplier


def _difference(left: Array, right: Array, multiplier: float) -> Array:
    return (left - right) * multiplier


def _product(left: Array, right: Array, multiplier: float) -> Array:
    return (left * right) * multiplier


def _quotient(left: Array, right: Array, multiplier: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = left * multiplier / right
    found[(left == 0) & (right == 0)] = 0.0
    return found


def _kernel(combine: Combine) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> None:
        multiplier = scaled(attr.m, attr.t)
        for a, b, y in blocks(targets[0], *sources, dtype=np.int64):
            real = combine((a - attr.a_zero) * attr.a_factor, (b - attr.b_zero) * attr.b_factor, multiplier)
            real += 0.5
            np.floor(real, out=real)
            real += attr.y_zero
            y[...] = np.clip(real, attr.lo, attr.hi, out=real)

    return Kernel(run, 2, BinaryAttr)


ADD, SUB, MUL, DIV = (_kernel(combine) for combine in (_sum, _difference, _product, _quotient))
