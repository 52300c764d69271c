"""A constant as a tensor of its own, for operators whose operands may be computed as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import ANY_RANK, Box, Constant, ConstantError, Kind, Ranges, Rates, require_grids
from axbuild.toolchain.kinds.codes import TYPES, Edge, Grid, type_of
from axbuild.toolchain.kinds.elementwise import rows_first


@dataclass(frozen=True, eq=False)
class Given(Kind):
    """y = data, the same for every sample. It reads nothing, and stands in the subgraph of what reads it."""

    spellings: ClassVar = {"AxConstant": {}}
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    y: Edge
    data: Annotated[Array, Constant(tuple(kind.dtype for kind in TYPES), ANY_RANK)]

    def __post_init__(self) -> None:
        if isinstance(self.y, Grid):
            require_grids(self.op_type, self.y)
        if self.data.dtype != type_of(self.y).dtype or not self.data.size or not self.data.ndim:
            raise ConstantError(f"{self.op_type} to {self.y} holds {self.data.dtype} {list(self.data.shape)}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return ()

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return "y = Identity (data)"

    def output_shape(self, *inputs: Shape) -> Shape:
        shape: Shape = self.data.shape
        return shape

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return ()

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(self.data.ndim)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements * type_of(self.y).bytes / rates.mover_bytes
