"""Elements that only move."""

from __future__ import annotations

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr


def move(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """Elements in C order of the source's axes to C order of the target's; the strides do the transposing."""
    targets[0][...] = sources[0].reshape(targets[0].shape)
