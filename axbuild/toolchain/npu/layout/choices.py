"""What a layout leaves open: two layouts of one net differ in these choices and in nothing else, and never in a bit of
what the program computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from axbuild.toolchain.npu.layout.tile import Cutter, Steps
from axbuild.toolchain.npu.net import Operator

Tiling = Callable[[Operator, Cutter], Steps]
"""Fixed tile extents for an operator; an axis that is not cut or not named stays whole."""


@dataclass(frozen=True)
class OpChain:
    """Operators start..stop (half open) that run together, band by band along a memory axis of their outputs."""

    start: int
    stop: int
    axis: int


@dataclass(frozen=True)
class OpCut:
    """Operator number `position` in `count` parts along a memory axis of its output."""

    position: int
    axis: int
    count: int


@dataclass(frozen=True)
class Choices:
    """tiling: None lets each operator's cutter choose; chains: apart from one another, in order; thorough: whether an
    operator that streams looks at every pair of axes for the cut that moves least; cuts: of operators on chip that are
    not cut as their cutters would; high: tensors that are placed at the end of the memory, not at its beginning;
    by_path: whether an engine prefers the job with most work behind it to that of the earliest operator.
    """

    tiling: Tiling | None = None
    chains: tuple[OpChain, ...] = ()
    thorough: bool = False
    cuts: tuple[OpCut, ...] = ()
    high: frozenset[str] = frozenset()
    by_path: bool = False
