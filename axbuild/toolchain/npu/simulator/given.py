"""A constant as a tensor of its own."""

from __future__ import annotations

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import NoAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def given(sources: list[Array], targets: list[Array], attr: NoAttr) -> None:
    """y = the packed constant, spread over axes along which it is packed once."""
    targets[0][...] = sources[0]


GIVEN = Kernel(given, 1, NoAttr)
