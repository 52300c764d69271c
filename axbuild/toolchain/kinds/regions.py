"""Regions of a map whose corners are computed, each as a small map of means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import (
    Box,
    Constant,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    require_clamp,
    require_grids,
    whole,
)
from axbuild.toolchain.kinds.codes import FP32, INT32, INT64, Edge, ElementType, Grid
from axbuild.toolchain.kinds.formula import Formula
from axbuild.toolchain.kinds.interpolate import ONE
from axbuild.toolchain.kinds.text import DOUBLE, I64, centred, requantised

MOST_SAMPLES = 64
"""along an axis of a bin: sums of products stay below 2^52"""


@dataclass(frozen=True, eq=False)
class Regions(Kind):
    """y = clamp(y.zero + floor(acc M + 0.5)), acc: the sum over all samples of a bin, two rows and two columns of both
    weights, x0 - x.zero. M = sx / (sy 2^22 samples^2).

    x1: float32 [regions, 4], left, top, right and bottom; x2: the sample each lies in. In float64 an end is f scale -
    1 / 2 (or f scale without `half`, the size then at least 1); bin = size / bins; place = (start + n bin) + (i + 1 /
    2) bin / samples, no number counting as 0. A sample below -1 or above the size of the map weighs nothing; else it
    is kept inside, and u = floor(2048 place + 0.5) splits into positions and weights as in `Interpolate`.
    """

    spellings: ClassVar = {"AxQuantizedRoiAlign": {}}
    job: ClassVar[str] = "pool"
    engine: ClassVar[str] = "teng"

    x: Grid
    y: Grid
    index: ElementType
    rows: int
    columns: int
    samples: int
    scale: float
    half: int
    multiplier: Annotated[float, Constant(("float64",), 0)]
    lo: int
    hi: int

    def __post_init__(self) -> None:
        require_grids(self.op_type, self.x, self.y)
        require_clamp(self.op_type, self.lo, self.hi, self.y)
        counts = min(self.rows, self.columns, self.samples) >= 1 and self.samples <= MOST_SAMPLES
        if not counts or self.half not in (0, 1) or self.index not in (INT32, INT64):
            raise ConstantError(f"{self.op_type} takes no {self.samples} samples a bin, or no indices of {self.index}.")
        if float(np.float32(self.scale)) != self.scale or not (math.isfinite(self.multiplier) and self.multiplier > 0):
            raise ConstantError(f"{self.op_type} takes no scale {self.scale!r} and multiplier {self.multiplier!r}.")

    @classmethod
    def of(
        cls,
        x: Grid,
        y: Grid,
        index: ElementType,
        bins: tuple[int, int],
        samples: int,
        scale: float,
        half: bool,
        lo: int,
        hi: int,
    ) -> Regions:
        """bins: rows and columns of a region's map."""
        multiplier = np.float64(x.scale) / (np.float64(y.scale) * np.float64(ONE * ONE * samples * samples))
        held = float(np.float32(scale))
        return cls(x, y, index, *bins, samples, held, int(half), float(multiplier), lo, hi)

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.x, FP32, self.index

    @property
    def writes(self) -> Edge:
        return self.y

    @property
    def variant(self) -> str:
        return f"{self.rows}x{self.columns}_{self.samples}" + ("_half" if self.half else "")

    def text(self) -> str:
        f = Formula()
        end = self._sum(f)
        made = "".join(f"\n  {line}" for line in f.lines)
        lead = centred("centred", "x0", "x", DOUBLE)
        return f"{lead}\n  ends = Cast <to = {DOUBLE}> (x1){made}{requantised(end, 'multiplier', self.y.type)}"

    def _sum(self, f: Formula) -> str:
        """acc, [regions, channels, rows, columns]."""
        channels, height, width = (f.op(f"Shape <start = {n}, end = {n + 1}>", "x0") for n in (1, 2, 3))
        all_rows = f.op("Concat <axis = 0>", _integers(f, -1), channels)
        pixels = f.op("Reshape", f.op("Transpose <perm = [0, 2, 3, 1]>", "centred"), all_rows)
        wide, tall = (f.op(f"Cast <to = {DOUBLE}>", size) for size in (width, height))
        down, across = self._axis(f, 1, self.rows, tall), self._axis(f, 0, self.columns, wide)
        sample = f.op(f"Cast <to = {DOUBLE}>", f.op("Reshape", "x2", _integers(f, -1, 1, 1)))
        # An index below 0 counts from the end, as everywhere.
        batch = f.op(f"Cast <to = {DOUBLE}>", f.op("Shape <start = 0, end = 1>", "x0"))
        none = f.number(0.0)
        sample = f.where("Less", sample, none, f.op("Add", sample, batch), sample)
        first = f.op("Mul", sample, f.op("Mul", wide, tall))
        total = none
        for row, high in down:
            start = f.op("Add", first, f.op("Mul", f.op("Reshape", row, _integers(f, 0, -1, 1)), wide))
            for column, far in across:
                place = f.op("Add", start, f.op("Reshape", column, _integers(f, 0, 1, -1)))
                found = f.op("Gather <axis = 0>", pixels, f.op(f"Cast <to = {I64}>", place))
                weights = (
                    f.op("Reshape", high, _integers(f, 0, -1, 1, 1)),
                    f.op("Reshape", far, _integers(f, 0, 1, -1, 1)),
                )
                total = f.op("Add", total, f.op("Mul", found, f.op("Mul", *weights)))
        bins = _integers(f, 0, self.rows, self.samples, self.columns, self.samples, -1)
        summed = f.op("ReduceSum <keepdims = 0>", f.op("Reshape", total, bins), _integers(f, 2, 4))
        return f.op("Transpose <perm = [0, 3, 1, 2]>", summed)

    def _axis(self, f: Formula, start: int, bins: int, size: str) -> tuple[tuple[str, str], tuple[str, str]]:
        """(positions, weights) before and behind each sample along an axis, [regions, bins samples]."""
        scale, half, one = f.attribute("scale"), f.number(0.5), f.number(float(ONE))
        near, far = (self._end(f, number, scale, half) for number in (start, start + 2))
        extent = f.op("Sub", far, near)
        if not self.half:
            extent = f.op("Where", f.op("Less", extent, f.number(1.0)), f.number(1.0), extent)
        step = f.op("Div", extent, f.number(float(bins)))
        counted = f.op("Reshape", f.numbers([float(n) for n in range(bins)]), _integers(f, 1, -1, 1))
        inner = f.op("Reshape", f.numbers([n + 0.5 for n in range(self.samples)]), _integers(f, 1, 1, -1))
        base = f.op("Add", near, f.op("Mul", counted, step))
        place = f.op("Add", base, f.op("Div", f.op("Mul", inner, step), f.number(float(self.samples))))
        place = f.op("Reshape", place, _integers(f, 0, -1))
        none, unit = f.number(0.0), f.number(1.0)
        place = f.op("Where", f.op("IsNaN", place), none, place)
        outside = f.op("Or", f.op("Less", place, f.number(-1.0)), f.op("Greater", place, size))
        last = f.op("Sub", size, unit)
        kept = f.op("Min", f.op("Max", place, none), last)
        steps = f.op("Floor", f.op("Add", f.op("Mul", kept, one), half))
        before = f.op("Floor", f.op("Div", steps, one))
        behind = f.op("Min", f.op("Add", before, unit), last)
        rest = f.op("Sub", steps, f.op("Mul", before, one))
        weights = (f.op("Where", outside, none, own) for own in (f.op("Sub", one, rest), rest))
        return tuple(zip((before, behind), weights, strict=True))  # type: ignore[return-value]  # two of two

    def _end(self, f: Formula, number: int, scale: str, half: str) -> str:
        given = f.op("Gather <axis = 1>", "ends", f.op(f"Constant <value = int64 {{{number}}}>"))
        scaled = f.op("Mul", f.op("Reshape", given, _integers(f, -1, 1, 1)), scale)
        return f.op("Sub", scaled, half) if self.half else scaled

    def output_shape(self, *inputs: Shape) -> Shape:
        x, regions, index = inputs
        if len(x) != 4 or len(regions) != 2 or regions[1] != 4 or index != regions[:1]:
            raise ShapeError(f"{self.op_type} cannot cut regions {regions} of samples {index} out of {x}.")
        return (regions[0], x[1], self.rows, self.columns)

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        n, _, height, width = whole(inputs[0])
        return (n, out[1], height, width), (out[0], (0, 4)), (out[0],)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return (0, 3)

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        """Four products a sample."""
        return 4 * self.samples**2 * out.elements / rates.teng_elements


def _integers(f: Formula, *values: int) -> str:
    return f.op(f"Constant <value = int64[{len(values)}] {{{', '.join(map(str, values))}}}>")
