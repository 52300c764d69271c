"""Comparisons of the reals that two operands stand for."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.compare import CompareAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks


def _kernel(relation: np.ufunc) -> Kernel:
    """1 where the relation holds, 0 elsewhere."""

    def run(sources: list[Array], targets: list[Array], attr: CompareAttr) -> None:
        a_scale, b_scale = float(bits_float32(attr.a_scale)), float(bits_float32(attr.b_scale))
        for a, b, y in blocks(targets[0], *sources, dtype=np.float64):
            y[...] = relation((a - attr.a_zero) * a_scale, (b - attr.b_zero) * b_scale)

    return Kernel(run, 2, CompareAttr)


EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL = (
    _kernel(relation) for relation in (np.equal, np.less, np.less_equal, np.greater, np.greater_equal)
)
