"""Rows of a constant table by indices that are known at run time only: an embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import (
    ANY_RANK,
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    require_grids,
)
from axbuild.toolchain.kinds.codes import CODES, FP32, INT32, INT64, Edge, ElementType, Grid, type_of
from axbuild.toolchain.kinds.elementwise import rows_first


@dataclass(frozen=True, eq=False)
class Gather(Kind):
    """y = data[x]: ONNX Gather along axis 0, whose indices below 0 count from the end.

    index: INT32 or INT64; data: codes of y, or reals, [rows, ...]. An index that names no row is an error where it is
    met, in onnxruntime and in the simulator.
    """

    spellings: ClassVar = {"AxGather": {}}
    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    index: ElementType
    y: Edge
    data: Annotated[Array, Constant(tuple(kind.dtype for kind in (*CODES, FP32)), ANY_RANK)]

    def __post_init__(self) -> None:
        if isinstance(self.y, Grid):
            require_grids(self.op_type, self.y)
        if self.index not in (INT32, INT64):
            raise ConstantError(f"{self.op_type} takes indices of {INT32} or {INT64}, not {self.index}.")
        if self.data.dtype != type_of(self.y).dtype or not self.data.size:
            raise ConstantError(
                f"{self.op_type} to {type_of(self.y)} has a table of {self.data.dtype} {list(self.data.shape)}."
            )

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.index,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return "y = Gather <axis = 0> (data, x)"

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not x:
            raise ShapeError(f"{self.op_type} cannot read a scalar index.")
        return (*x, *self.data.shape[1:])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (out[: len(inputs[0])],)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(self.output_shape(*inputs)))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements * type_of(self.y).bytes / rates.mover_bytes
