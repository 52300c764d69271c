"""Elements that only move."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.lower.mover import PadAttr, RearrangeAttr, SliceAttr, TakeAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def move(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """Elements in C order of the source's axes to C order of the target's; the strides do the transposing."""
    targets[0][...] = sources[0].reshape(targets[0].shape)


def pad(sources: list[Array], targets: list[Array], attr: PadAttr) -> None:
    """The source between its pads."""
    (x,), (y,) = sources, targets
    y[...] = attr.value
    y[tuple(slice(begin, begin + size) for begin, size in zip(attr.pads[: x.ndim], x.shape, strict=True))] = x


def strided(sources: list[Array], targets: list[Array], attr: SliceAttr) -> None:
    """The elements of the source that lie a step apart."""
    targets[0][...] = sources[0][tuple(slice(None, None, step) for step in attr.steps)]


def take(sources: list[Array], targets: list[Array], attr: TakeAttr) -> None:
    """The elements of the source at positions along one axis."""
    targets[0][...] = np.take(sources[0], attr.positions, axis=attr.axis)


def rearrange(sources: list[Array], targets: list[Array], attr: RearrangeAttr) -> None:
    """The part of the target's shape in what the source's factors give in their new order."""
    whole = sources[0].reshape(attr.apart).transpose(attr.order).reshape(attr.joined)
    own = zip(attr.starts, targets[0].shape, strict=True)
    targets[0][...] = whole[tuple(slice(start, start + size) for start, size in own)]


MOVE = Kernel(move, 1, NoAttr)
PAD = Kernel(pad, 1, PadAttr)
REARRANGE = Kernel(rearrange, 1, RearrangeAttr)
SLICE = Kernel(strided, 1, SliceAttr)
TAKE = Kernel(take, 1, TakeAttr)
