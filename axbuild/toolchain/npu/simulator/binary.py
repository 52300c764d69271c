"""Arithmetic on two activations that are codes.

Operands of 8 bits meet in 65,536 pairs: all are computed once, and a job looks its results up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import scaled
from axbuild.toolchain.npu.lower.binary import BinaryAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks, every_code

Combine = Callable[[Array, Array, float], Array]
"""(left, right: weighted centred codes as int64, multiplier) -> float64, yet to be rounded"""


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


def _codes(combine: Combine, attr: BinaryAttr, a: Array, b: Array) -> Array:
    """float64 codes of the output for int64 codes a and b."""
    left, right = (a - attr.a_zero) * attr.a_factor, (b - attr.b_zero) * attr.b_factor
    real = combine(left, right, scaled(attr.m, attr.t))
    real += 0.5
    np.floor(real, out=real)
    real += attr.y_zero
    return np.clip(real, attr.lo, attr.hi, out=real)


@lru_cache(maxsize=256)
def _pairs(combine: Combine, attr: BinaryAttr, a: np.dtype[Any], b: np.dtype[Any], y: np.dtype[Any]) -> Array:
    """The output of every pair of codes, at the bit pattern of a followed by that of b."""
    rows, columns = every_code(a).astype(np.int64)[:, None], every_code(b).astype(np.int64)
    return _codes(combine, attr, rows, columns).astype(y).ravel()


def _kernel(combine: Combine) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: BinaryAttr) -> None:
        a, b = sources
        (y,) = targets
        if a.itemsize == b.itemsize == 1:
            table = _pairs(combine, attr, a.dtype, b.dtype, y.dtype)
            high = np.left_shift(a.view(np.uint8), 8, dtype=np.uint16)
            y[...] = table[high | b.view(np.uint8)]
            return
        for part_a, part_b, part_y in blocks(y, a, b, dtype=np.int64):
            part_y[...] = _codes(combine, attr, part_a, part_b)

    return Kernel(run, 2, BinaryAttr)


ADD, SUB, MUL, DIV = (_kernel(combine) for combine in (_sum, _difference, _product, _quotient))
