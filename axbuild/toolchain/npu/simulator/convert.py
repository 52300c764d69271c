"""The same value as another element type."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import bits_float32
from axbuild.toolchain.npu.lower.convert import ConvertAttr
from axbuild.toolchain.npu.program.form import ProgramError
from axbuild.toolchain.npu.simulator.base import Kernel
from axbuild.toolchain.npu.simulator.blocks import blocks


def _codes(real: Array, y: Array, attr: ConvertAttr) -> None:
    limits, steps = np.iinfo(y.dtype), np.floor(real / float(bits_float32(attr.y_scale)) + 0.5)
    y[...] = np.clip(np.where(np.isnan(steps), 0.0, steps) + attr.y_zero, limits.min, limits.max)


def _integers(real: Array, y: Array, attr: ConvertAttr) -> None:
    limits = np.iinfo(np.int32)
    y[...] = np.trunc(np.clip(np.where(np.isnan(real), 0.0, real), limits.min, limits.max))


def _truth(real: Array, y: Array, attr: ConvertAttr) -> None:
    y[...] = real != 0.0


def _reals(real: Array, y: Array, attr: ConvertAttr) -> None:
    y[...] = real


_TARGETS: dict[str, Callable[[Array, Array, ConvertAttr], None]] = {
    "codes": _codes,
    "integers": _integers,
    "truth": _truth,
    "reals": _reals,
}


def convert(sources: list[Array], targets: list[Array], attr: ConvertAttr) -> None:
    """(x - zero) scale in float64, written as what `to` says."""
    if attr.to not in _TARGETS:
        raise ProgramError(f"nothing is converted to '{attr.to}'")
    write, scale = _TARGETS[attr.to], float(bits_float32(attr.x_scale))
    for x, y in blocks(targets[0], sources[0], dtype=np.float64):
        write((x - attr.x_zero) * scale, y, attr)


CONVERT = Kernel(convert, 1, ConvertAttr)
