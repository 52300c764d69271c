"""Normalisation of reals over the last axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import ANY_RANK, Constant
from axbuild.toolchain.kinds.codes import FP32, Edge
from axbuild.toolchain.kinds.formula import Formula
from axbuild.toolchain.kinds.norm import OverLastAxes


@dataclass(frozen=True, eq=False)
class FloatNorm(OverLastAxes):
    """y = f32(d / sqrt(sum d^2 / N + epsilon) weight + bias), d = x - sum x / N, or without the mean d = x.

    All in float64 in the written order; a sum folds each of the axes in turn (Formula.folded), the first one first.
    """

    spellings: ClassVar = {
        "AxFloatLayerNorm": {"subtract_mean": True},
        "AxFloatRMSNorm": {"subtract_mean": False},
    }

    subtract_mean: bool
    sizes: tuple[int, ...]
    weight: Annotated[Array, Constant(("float64",), ANY_RANK)]
    bias: Annotated[Array, Constant(("float64",), ANY_RANK)]
    epsilon: Annotated[float, Constant(("float64",), 0)]

    def __post_init__(self) -> None:
        self.require_constants()

    @classmethod
    def of(cls, sizes: Shape, weight: Array, bias: Array, epsilon: float, subtract_mean: bool = True) -> FloatNorm:
        """weight, bias: as they broadcast to the normalised axes."""
        shape = np.broadcast_shapes(weight.shape, bias.shape, (1,) * len(sizes))
        gain, offset = (np.broadcast_to(array.astype(np.float64), shape).copy() for array in (weight, bias))
        return cls(subtract_mean, sizes, gain, offset, epsilon)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (FP32,)

    @property
    def writes(self) -> Edge:
        return FP32

    @property
    def variant(self) -> str:
        return "over" + "x".join(map(str, self.sizes))

    def text(self) -> str:
        return Formula().text(self._normalised)

    def _normalised(self, f: Formula) -> str:
        d = f.op("Sub", "x_d", self._mean(f, "x_d")) if self.subtract_mean else "x_d"
        variance = self._mean(f, f.op("Mul", d, d))
        unit = f.op("Div", d, f.op("Sqrt", f.op("Add", variance, "epsilon")))
        return f.op("Add", f.op("Mul", unit, "weight"), "bias")

    def _mean(self, f: Formula, v: str) -> str:
        for place, size in enumerate(self.sizes):
            v = f.folded(v, place - self.axes, size)
        return f.op("Div", v, f.number(float(self.count)))
