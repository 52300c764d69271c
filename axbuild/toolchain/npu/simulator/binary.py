"""Arithmetic on two activations that are codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.binary import BinaryAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks
from axbuild.toolchain.npu.simulator.requantise import requantise


def _blocks(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> Iterator[tuple[Array, Array, Array]]:
    """Blocks of both operands as whole float64, centred and times their factors, and what they become."""
    for a, b, y in blocks(targets[0], *sources, dtype=np.float64):
        yield (a - attr.a_zero) * attr.a_factor, (b - attr.b_zero) * attr.b_factor, y


def _exact(operation: np.ufunc) -> Kernel:
    """R of what the operation makes of two integers."""

    def run(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> None:
        multiplier = scaled(attr.m, attr.t)
        for left, right, y in _blocks(sources, targets, attr):
            requantise(operation(left, right), multiplier, attr.y_zero, attr.lo, attr.hi, y)

    return Kernel(run, 2, BinaryAttr)


def divide(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> None:
    """floor(left m 2^-t / right + 0.5); 0 / 0 is 0."""
    multiplier = scaled(attr.m, attr.t)
    for left, right, y in _blocks(sources, targets, attr):
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = left * multiplier / right
        quotient[(left == 0) & (right == 0)] = 0.0
        requantise(quotient, 1.0, attr.y_zero, attr.lo, attr.hi, y)


def slope(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> None:
    """R of the first operand times its factor above 0, times the second one below."""
    multiplier = scaled(attr.m, attr.t)
    for a, b, y in blocks(targets[0], *sources, dtype=np.int64):
        steps = a - attr.a_zero
        acc = steps * np.where(steps < 0, (b - attr.b_zero) * attr.b_factor, attr.a_factor)
        requantise(acc, multiplier, attr.y_zero, attr.lo, attr.hi, y)


ADD, SUB, MUL = (_exact(operation) for operation in (np.add, np.subtract, np.multiply))
DIV = Kernel(divide, 2, BinaryAttr)
SLOPE = Kernel(slope, 2, BinaryAttr)
