"""Elements only move: their bits stay as they are, whatever their type. Codes move without a grid: any will do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import Box, ConstantError, Kind, Ranges, Rates, ShapeError, memory_axis, whole
from axbuild.toolchain.kinds.codes import Edge, ElementType
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import I32


class Mover(Kind):
    """A kind whose output elements are input elements, or one constant; one of the mover engines carries them."""

    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    type: ElementType

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,)

    @property
    def writes(self) -> Edge:
        return self.type

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(inputs[0]))

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return out.elements * self.type.bytes / rates.mover_bytes


@dataclass(frozen=True, eq=False)
class Reshape(Mover):
    """ONNX Reshape semantics on ONNX order; `shape` is static, but for a -1 where the batch is, mostly at dim 0."""

    spellings: ClassVar = {"AxReshape": {}}

    type: ElementType
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = [size for size in self.shape if size != -1]
        if not self.shape or len(sizes) < len(self.shape) - 1 or min(sizes, default=1) < 1:
            raise ConstantError(f"{self.op_type} to {self.shape}: only one dimension may be -1, none may be 0.")

    def text(self) -> str:
        return """
  target = Constant <value_ints: ints = @shape> ()
  y = Reshape (x, target)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        total, rest = math.prod(x), math.prod(size for size in self.shape if size != -1)
        y = tuple(total // rest if size == -1 else size for size in self.shape)
        if math.prod(y) != total or min(y) < 1:
            raise ShapeError(f"{self.op_type} cannot lay {x} out as {self.shape}.")
        return y

    def view(self, *inputs: Shape) -> bool:
        (x,) = inputs
        return _memory_is_onnx_order(x) and _memory_is_onnx_order(self.output_shape(x))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        y, ranges = self.output_shape(x), list(whole(x))
        for here, there in _same_elements(x, y):
            row, own = (math.prod(shape[axis] for axis in axes[1:]) for shape, axes in ((x, here), (y, there)))
            start, stop = (end * own for end in out[there[0]])
            inner = all(out[axis] == (0, y[axis]) for axis in there[1:])
            if inner and start % row == 0 and stop % row == 0:
                ranges[here[0]] = (start // row, stop // row)
        return (tuple(ranges),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        (x,) = inputs
        y = self.output_shape(x)
        return tuple(sorted(memory_axis(axis, len(y)) for axis, unit in _units(x, y).items() if unit < y[axis]))

    def grain(self, axis: int, block: int, *inputs: Shape) -> int:
        (x,) = inputs
        y = self.output_shape(x)
        return next((unit for own, unit in _units(x, y).items() if memory_axis(own, len(y)) == axis), 1)


def _same_elements(x: Shape, y: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """Axes of x and axes of y, outermost first, that lay out the same elements, as few together as possible."""
    here, there = ([axis for axis, size in enumerate(shape) if size > 1] for shape in (x, y))
    while here:
        own, other = [here.pop(0)], [there.pop(0)]
        while (left := math.prod(x[axis] for axis in own)) != (right := math.prod(y[axis] for axis in other)):
            if left < right:
                own.append(here.pop(0))
            else:
                other.append(there.pop(0))
        yield own, other


def _units(x: Shape, y: Shape) -> dict[int, int]:
    """Axis of y -> at multiples of what it may be cut so that each part is a part of x."""
    found = {}
    for here, there in _same_elements(x, y):
        row, own = (math.prod(shape[axis] for axis in axes[1:]) for shape, axes in ((x, here), (y, there)))
        found[there[0]] = row // math.gcd(row, own)
    return found


def _memory_is_onnx_order(shape: Shape) -> bool:
    return len(shape) != 4 or shape[1] == 1 or shape[2] * shape[3] == 1


@dataclass(frozen=True, eq=False)
class Transpose(Mover):
    """`perm` as in ONNX, on ONNX axes."""

    spellings: ClassVar = {"AxTranspose": {}}

    type: ElementType
    perm: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.perm) != list(range(len(self.perm))):
            raise ConstantError(f"{self.perm} of {self.op_type} is no permutation of axes.")

    def text(self) -> str:
        return "y = Transpose <perm: ints = @perm> (x)"

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != len(self.perm):
            raise ShapeError(f"{self.op_type} by {self.perm} cannot read {x}.")
        return tuple(x[axis] for axis in self.perm)

    def view(self, *inputs: Shape) -> bool:
        (x,) = inputs
        source = [axis for axis in _memory_order(len(x)) if x[axis] > 1]
        result = [self.perm[axis] for axis in _memory_order(len(x)) if x[self.perm[axis]] > 1]
        return source == result

    def permutes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(self.perm)
        return tuple(memory_axis(self.perm[axis], rank) for axis in _memory_order(rank))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (tuple(out[self.perm.index(axis)] for axis in range(len(self.perm))),)


def _memory_order(rank: int) -> tuple[int, ...]:
    """The ONNX axes in the order in which they lie in memory."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


@dataclass(frozen=True, eq=False)
class Pad(Mover):
    """`pads` as in ONNX (all begins, then all ends; never negative).

    value: what it pads with, a code or a whole number of the type.
    """

    spellings: ClassVar = {"AxPad": {}}

    type: ElementType
    pads: tuple[int, ...]
    value: int

    def __post_init__(self) -> None:
        if len(self.pads) % 2 or min(self.pads, default=-1) < 0:
            raise ConstantError(f"The pads {self.pads} of {self.op_type} must be begins and ends, none negative.")
        for dtype in (self.type.dtype, self.type.carried):
            if int(np.asarray(self.value).astype(dtype)) != self.value:
                raise ConstantError(f"{self.op_type} of {self.type} cannot pad with {self.value}.")

    def text(self) -> str:
        # onnxruntime has no Pad for 16 bits
        own = I32 if self.type.wide else self.type.onnx
        return f"""
  value_i = Constant <value_int: int = @value> ()
  filling = Cast <to = {own}> (value_i)
  ends = Constant <value_ints: ints = @pads> ()
  held = Cast <to = {own}> (x)
  padded = Pad (held, ends, filling)
  y = Cast <to = {self.type.onnx}> (padded)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if 2 * len(x) != len(self.pads):
            raise ShapeError(f"{self.op_type} with pads {self.pads} cannot read {x}.")
        return tuple(size + sum(self._ends(axis)) for axis, size in enumerate(x))

    def _ends(self, axis: int) -> tuple[int, int]:
        return self.pads[axis], self.pads[axis + len(self.pads) // 2]

    def _positions(self, axis: int, size: int) -> Array:
        """int64: for each output position along an ONNX axis of that input size the input position, -1 for padding."""
        position = np.arange(size + sum(self._ends(axis))) - self.pads[axis]
        return np.where(position >= size, -1, np.maximum(position, -1))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return (tuple(self._needs_along(axis, *out[axis], size) for axis, size in enumerate(x)),)

    def _needs_along(self, axis: int, start: int, stop: int, size: int) -> tuple[int, int]:
        read = self._positions(axis, size)[start:stop]
        read = read[read >= 0]
        return (int(read.min()), int(read.max()) + 1) if read.size else (0, 0)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        """Padded axes stay whole: a tile could lie in the padding alone, or read far from where it writes."""
        (x,) = inputs
        padded = {memory_axis(axis, len(x)) for axis in range(len(x)) if any(self._ends(axis))}
        return tuple(axis for axis in rows_first(len(x)) if axis not in padded)


@dataclass(frozen=True, eq=False)
class Concat(Mover):
    """`axis` on ONNX axes, not negative; codes of all inputs already stand on the output's grid."""

    spellings: ClassVar = {"AxConcat": {}}

    type: ElementType
    axis: int
    count: int

    def __post_init__(self) -> None:
        if self.axis < 0 or self.count < 1:
            raise ConstantError(f"{self.op_type} of {self.count} inputs on axis {self.axis} is not possible.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return (self.type,) * self.count

    @property
    def variant(self) -> str:
        return f"inputs{self.count}"

    def text(self) -> str:
        return f"y = Concat <axis: int = @axis> ({', '.join(self.names)})"

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        rest = [x[: self.axis] + x[self.axis + 1 :] for x in inputs]
        same_rank = self.axis < len(first) and all(len(x) == len(first) for x in inputs)
        if len(inputs) != self.count or not same_rank or any(r != rest[0] for r in rest):
            raise ShapeError(f"{self.op_type} on axis {self.axis} cannot join {', '.join(map(str, inputs))}.")
        return (*first[: self.axis], sum(x[self.axis] for x in inputs), *first[self.axis + 1 :])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        boxes, offset = [], 0
        for x in inputs:
            size = x[self.axis]
            start, stop = (min(max(end - offset, 0), size) for end in out[self.axis])
            boxes.append((*out[: self.axis], (start, stop), *out[self.axis + 1 :]))
            offset += size
        return tuple(boxes)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        rank = len(inputs[0])
        along = memory_axis(self.axis, rank)
        return (*(axis for axis in rows_first(rank) if axis != along), along)


@dataclass(frozen=True, eq=False)
class Slice(Mover):
    """ONNX Slice: from starts to ends (excluded) by steps, on ONNX axes that are not negative; steps may be.

    Starts and ends below 0 count from the end of the axis; beyond it they stand for the end.
    """

    spellings: ClassVar = {"AxSlice": {}}

    type: ElementType
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    axes: tuple[int, ...]
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        counts = {len(self.starts), len(self.ends), len(self.steps), len(set(self.axes)), len(self.axes)}
        if len(counts) > 1 or min(self.axes, default=-1) < 0 or 0 in self.steps:
            raise ConstantError(
                f"{self.op_type} from {self.starts} to {self.ends} on axes {self.axes} by {self.steps} is not possible."
            )

    def text(self) -> str:
        return """
  from = Constant <value_ints: ints = @starts> ()
  to = Constant <value_ints: ints = @ends> ()
  along = Constant <value_ints: ints = @axes> ()
  by = Constant <value_ints: ints = @steps> ()
  y = Slice (x, from, to, along, by)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if max(self.axes) >= len(x):
            raise ShapeError(f"{self.op_type} on axes {self.axes} cannot read {x}.")
        shape = tuple(len(self._positions(axis, size)) for axis, size in enumerate(x))
        if 0 in shape:
            raise ShapeError(f"{self.op_type} from {self.starts} to {self.ends} leaves nothing of {x}.")
        return shape

    def _positions(self, axis: int, size: int) -> range:
        """The input positions along an ONNX axis of that size, in the order of the output."""
        if axis not in self.axes:
            return range(size)
        at = self.axes.index(axis)
        step = self.steps[at]
        lowest, highest = (0, size) if step > 0 else (-1, size - 1)
        start, end = (value + size if value < 0 else value for value in (self.starts[at], self.ends[at]))
        return range(min(max(start, max(lowest, 0)), highest), min(max(end, lowest), highest), step)

    def step(self, axis: int) -> int:
        """From one output position to the next along an ONNX axis of the input."""
        return self.steps[self.axes.index(axis)] if axis in self.axes else 1

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        reads = (self._positions(axis, size)[slice(*out[axis])] for axis, size in enumerate(x))
        return (tuple((min(read), max(read) + 1) for read in reads),)


@dataclass(frozen=True, eq=False)
class Take(Mover):
    """y[.., i, ..] = x[.., positions[i], ..] along one axis, an ONNX axis that is not negative.

    positions: in any order, repeats included, none negative.
    """

    spellings: ClassVar = {"AxTake": {}}

    type: ElementType
    axis: int
    positions: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.axis < 0 or min(self.positions, default=-1) < 0:
            raise ConstantError(
                f"{self.op_type} of the positions {self.positions} on axis {self.axis} is not possible."
            )

    def text(self) -> str:
        return """
  index = Constant <value_ints: ints = @positions> ()
  y = Gather <axis: int = @axis> (x, index)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if self.axis >= len(x) or max(self.positions) >= x[self.axis]:
            raise ShapeError(f"{self.op_type} of position {max(self.positions)} on axis {self.axis} cannot read {x}.")
        return (*x[: self.axis], len(self.positions), *x[self.axis + 1 :])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        read = self.positions[slice(*out[self.axis])]
        return ((*out[: self.axis], (min(read), max(read) + 1), *out[self.axis + 1 :]),)
