"""The same value as another element type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.kinds.base import ConstantError, require_grids
from axbuild.toolchain.kinds.codes import BOOL, FP32, INT32, Edge, Grid
from axbuild.toolchain.kinds.elementwise import Elementwise
from axbuild.toolchain.kinds.text import float64, known, real, saturated


@dataclass(frozen=True, eq=False)
class Convert(Elementwise):
    """The real of x, f64(code - zero) f64(scale) where it is codes, as an element of y.

    To codes: floor(real / f64(scale) + 0.5) + zero, saturating. To integers: cut off towards zero, saturating at 32
    bits, NaN gives 0. To BOOL: whether it is not 0. To FP32: the nearest one.
    """

    spellings: ClassVar = {"AxCast": {}}
    job: ClassVar[str] = "quant"

    x: Edge
    y: Edge

    def __post_init__(self) -> None:
        for edge in (self.x, self.y):
            if isinstance(edge, Grid):
                require_grids(self.op_type, edge)
            elif edge.coded:
                raise ConstantError(f"{self.op_type} cannot take codes of {edge} without a grid.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.x,)

    @property
    def writes(self) -> Edge:
        return self.y

    def text(self) -> str:
        return f"""{real("real", "x", "x", self.x)}{self._written()}"""

    def _written(self) -> str:
        if isinstance(self.y, Grid):
            return f"""{float64("step", "y_scale")}
  ratio = Div (real, step){known("steps", "ratio")}{saturated("steps", self.y.type)}"""
        if self.y in (FP32, BOOL):
            return f"""
  y = Cast <to = {self.y.onnx}> (real)"""
        return f"""{known("number", "real")}
  lowest = Constant <value = double {{{INT32.lo}.0}}> ()
  highest = Constant <value = double {{{INT32.hi}.0}}> ()
  inside = Clip (number, lowest, highest)
  y = Cast <to = {self.y.onnx}> (inside)"""
