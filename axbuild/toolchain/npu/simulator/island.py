"""Arithmetic on reals."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr, bits_float32
from axbuild.toolchain.npu.lower.island import FloatClipAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def _kernel(operation: np.ufunc) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
        with np.errstate(all="ignore"):
            operation(*sources, out=targets[0])

    return Kernel(run, 2, NoAttr)


def clip(sources: list[Array], targets: list[Array], attr: FloatClipAttr) -> None:
    """lo where x < lo, hi where x > hi."""
    (x,), (y,) = sources, targets
    lo, hi = bits_float32(attr.lo_bits), bits_float32(attr.hi_bits)
    y[...] = x
    np.copyto(y, lo, where=x < lo)
    np.copyto(y, hi, where=x > hi)


def slope(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """x, where it is below 0 times the constant."""
    x, factor = sources
    with np.errstate(all="ignore"):
        targets[0][...] = np.where(x < 0, x * factor, x) + np.float32(0)


def _turned(operation: np.ufunc) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
        with np.errstate(all="ignore"):
            operation(*reversed(sources), out=targets[0])

    return Kernel(run, 2, NoAttr)


def _chosen(relation: np.ufunc) -> Kernel:
    def run(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
        with np.errstate(invalid="ignore"):
            targets[0][...] = np.where(relation(*sources), *sources) + np.float32(0)

    return Kernel(run, 2, NoAttr)


FLOAT_FROM, FLOAT_OVER = (_turned(op) for op in (np.subtract, np.divide))
FLOAT_MAX, FLOAT_MIN = (_chosen(op) for op in (np.greater, np.less))
FLOAT_SLOPE = Kernel(slope, 2, NoAttr)
FLOAT_ADD, FLOAT_SUB, FLOAT_MUL, FLOAT_DIV = (_kernel(op) for op in (np.add, np.subtract, np.multiply, np.divide))
FLOAT_CLIP = Kernel(clip, 1, FloatClipAttr)
