"""One of two activations, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr, scaled
from axbuild.toolchain.npu.lower.select import SelectAttr
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks


def _where(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition != 0, a, b)


def _kernel(choose: Callable[..., Array], count: int) -> Kernel:
    """choose: from the condition, if there is one, and a and b on the grid of y to the one that stays."""

    def run(sources: list[Array], targets: list[Array], attr: SelectAttr) -> None:
        a_multiplier, b_multiplier = scaled(attr.a_m, attr.a_t), scaled(attr.b_m, attr.b_t)
        for *condition, a, b, y in blocks(targets[0], *sources, dtype=np.float64):
            a_new = np.floor((a - attr.a_zero) * a_multiplier + 0.5)
            b_new = np.floor((b - attr.b_zero) * b_multiplier + 0.5)
            y[...] = np.clip(choose(*condition, a_new, b_new) + attr.y_zero, attr.lo, attr.hi)

    return Kernel(run, count, SelectAttr)


def choose(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """The second operand where the first is true, else the third, bit for bit."""
    condition, a, b = sources
    targets[0][...] = np.where(condition != 0, a, b)


WHERE, MAX, MIN = _kernel(_where, 3), _kernel(np.maximum, 2), _kernel(np.minimum, 2)
CHOOSE = Kernel(choose, 3, NoAttr)
