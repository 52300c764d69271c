"""What kinds share that read one activation element by element."""

from __future__ import annotations

from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Box, Kind, Ranges, Rates


class Elementwise(Kind):
    """An output element depends on the input element at the same place."""

    engine: ClassVar[str] = "teng"

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (out,)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(inputs[0]))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements / rates.teng_elements


def rows_first(rank: int) -> tuple[int, ...]:
    """All axes in memory layout; rows and channels before the batch where the tensor is an image."""
    return (1, 3, 0, 2) if rank == 4 else tuple(range(rank))
