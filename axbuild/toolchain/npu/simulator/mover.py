"""Elements that only move."""

from __future__ import annotations

from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.lower.mover import PadAttr, SliceAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def move(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """Elements in C order of the source's axes to C order of the target's; the strides do the transposing."""
    targets[0][...] = sources[0].reshape(targets[0].shape)


def pad(sources: list[Array], targets: list[Array], attr: PadAttr) -> None:
    """The source between its pads."""
    rank = sources[0].ndim
    widths = list(zip(attr.pads[:rank], attr.pads[rank:], strict=True))
    filling = {"constant_values": attr.value} if attr.mode == "constant" else {}
    options: dict[str, Any] = {"mode": attr.mode, **filling}
    targets[0][...] = np.pad(sources[0], widths, **options)


def strided(sources: list[Array], targets: list[Array], attr: SliceAttr) -> None:
    """The elements of the source that lie a step apart."""
    targets[0][...] = sources[0][tuple(slice(None, None, step) for step in attr.steps)]


MOVE = Kernel(move, 1, NoAttr)
PAD = Kernel(pad, 1, PadAttr)
SLICE = Kernel(strided, 1, SliceAttr)
