"""What kinds share that read two activations element by element."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Box, Kind, Ranges, Rates, ShapeError, aligned
from axbuild.toolchain.kinds.elementwise import rows_first


class Broadcast(Kind):
    """An output element depends on one element of each input; shapes broadcast as in ONNX."""

    job: ClassVar[str] = "eltwise"
    engine: ClassVar[str] = "teng"

    def output_shape(self, *inputs: Shape) -> Shape:
        try:
            return np.broadcast_shapes(*inputs)
        except ValueError as error:
            raise ShapeError(f"{self.op_type} cannot join {' and '.join(map(str, inputs))}.") from error

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return tuple(aligned(out, shape) for shape in inputs)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(max(len(shape) for shape in inputs))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements / rates.teng_elements
