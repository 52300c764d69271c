"""Bits only move. dtype is the element type that moves ("uint8" codes, or "float32" at a border)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.base import (
    Box,
    ConstantError,
    Kind,
    Ranges,
    Rates,
    ShapeError,
    memory_axis,
    parse_body,
    whole,
)
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.text import FLOAT, UINT8, check_codes

if TYPE_CHECKING:
    import onnx


class Mover(Kind):
    """A kind whose output elements are input elements; one of the mover engines carries them."""

    job: ClassVar[str] = "layout"
    engine: ClassVar[str] = "cv"

    dtype: str

    @property
    def output_dtype(self) -> str:
        return self.dtype

    def _check_dtype(self) -> None:
        if self.dtype not in ("uint8", "float32"):
            raise ConstantError(f"{self.op_type} moves uint8 or float32, not {self.dtype!r}.")

    def moved_bytes(self, out: Box) -> int:
        """Bytes that the mover writes for the part `out`."""
        return out.elements * np.dtype(self.dtype).itemsize

    def cycles(self, out: Box, rates: Rates, *inputs: Shape) -> float:
        return self.moved_bytes(out) / rates.mover_bytes


@dataclass(frozen=True, eq=False)
class Reshape(Mover):
    """ONNX Reshape semantics on ONNX order; `shape` is static, its dim 0 may be -1 for the batch."""

    op_type: ClassVar[str] = "AxReshape"

    shape: tuple[int, ...]
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        self._check_dtype()
        if not self.shape or min(self.shape[1:], default=1) < 1 or (self.shape[0] < 1 and self.shape[0] != -1):
            raise ConstantError(f"{self.op_type} to {self.shape}: only the first dimension may be -1, none may be 0.")

    def body(self) -> onnx.FunctionProto:
        return parse_body(_RESHAPE, "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        total, rest = math.prod(x), math.prod(self.shape[1:])
        first = total // rest if self.shape[0] == -1 else self.shape[0]
        if first * rest != total or first < 1:
            raise ShapeError(f"{self.op_type} cannot lay {x} out as {self.shape}.")
        return (first, *self.shape[1:])

    def keeps_batch(self, *inputs: Shape) -> bool:
        """Whether dim 0 goes through untouched."""
        return self.output_shape(*inputs)[0] == inputs[0][0]

    def is_view(self, *inputs: Shape) -> bool:
        """Whether the elements lie in the same order in memory before and after, so that nothing need move."""
        (x,) = inputs
        return _memory_is_onnx_order(x) and _memory_is_onnx_order(self.output_shape(x))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return ((out[0], *whole(x[1:])),) if self.keeps_batch(x) else (whole(x),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return (0,) if self.keeps_batch(*inputs) else ()


def _memory_is_onnx_order(shape: Shape) -> bool:
    return len(shape) != 4 or shape[1] == 1 or shape[2] * shape[3] == 1


_RESHAPE = """AxReshape <shape, dtype> (x) => (y) {
  target = Constant <value_ints: ints = @shape> ()
  y = Reshape (x, target)
}"""


@dataclass(frozen=True, eq=False)
class Transpose(Mover):
    """`perm` as in ONNX, on ONNX axes."""

    op_type: ClassVar[str] = "AxTranspose"

    perm: tuple[int, ...]
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        self._check_dtype()
        if sorted(self.perm) != list(range(len(self.perm))):
            raise ConstantError(f"{self.perm} of {self.op_type} is no permutation of axes.")

    def body(self) -> onnx.FunctionProto:
        return parse_body("AxTranspose <perm, dtype> (x) => (y) { y = Transpose <perm: ints = @perm> (x) }", "")

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != len(self.perm):
            raise ShapeError(f"{self.op_type} by {self.perm} cannot read {x}.")
        return tuple(x[axis] for axis in self.perm)

    def is_view(self, *inputs: Shape) -> bool:
        """Whether the elements lie in the same order in memory before and after, so that nothing need move."""
        (x,) = inputs
        rank = len(x)
        source = [x_axis for x_axis in _memory_order(rank) if x[x_axis] > 1]
        result = [self.perm[axis] for axis in _memory_order(rank) if x[self.perm[axis]] > 1]
        return source == result

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (tuple(out[self.perm.index(axis)] for axis in range(len(self.perm))),)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(self.perm))


def _memory_order(rank: int) -> tuple[int, ...]:
    """The ONNX axes in the order in which they lie in memory."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


PAD_MODES = ("constant", "reflect", "edge")


@dataclass(frozen=True, eq=False)
class Pad(Mover):
    """`pads` as in ONNX (all begins, then all ends; never negative).

    mode: constant, reflect or edge. `value`: the code that constant mode pads with (as a number for float32).
    """

    op_type: ClassVar[str] = "AxPad"

    pads: tuple[int, ...]
    mode: str
    value: int
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        self._check_dtype()
        check_codes(self.op_type, value=self.value)
        if self.mode not in PAD_MODES:
            raise ConstantError(f"{self.op_type} knows the modes {', '.join(PAD_MODES)}, not {self.mode!r}.")
        if len(self.pads) % 2 or min(self.pads, default=0) < 0:
            raise ConstantError(f"The pads {self.pads} of {self.op_type} must be begins and ends, none negative.")

    def body(self) -> onnx.FunctionProto:
        to = UINT8 if self.dtype == "uint8" else FLOAT
        return parse_body(_PAD.format(to=to), "" if self.dtype == "uint8" else self.dtype)

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if 2 * len(x) != len(self.pads):
            raise ShapeError(f"{self.op_type} with pads {self.pads} cannot read {x}.")
        for axis, size in enumerate(x):
            if self.mode == "reflect" and max(self._ends(axis)) >= size:
                raise ShapeError(f"{self.op_type} cannot reflect {max(self._ends(axis))} of axis {axis} of {x}.")
        return tuple(size + sum(self._ends(axis)) for axis, size in enumerate(x))

    def _ends(self, axis: int) -> tuple[int, int]:
        return self.pads[axis], self.pads[axis + len(self.pads) // 2]

    def sources(self, axis: int, size: int) -> Array:
        """int64: for each output position along an ONNX axis of that input size the input position, -1 for padding."""
        position = np.arange(size + sum(self._ends(axis))) - self.pads[axis]
        if self.mode == "reflect":
            position = np.abs(position)
            return np.where(position >= size, 2 * (size - 1) - position, position)
        if self.mode == "edge":
            return np.clip(position, 0, size - 1)
        return np.where(position >= size, -1, np.maximum(position, -1))

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        (x,) = inputs
        return (tuple(self._needs_along(axis, *out[axis], size) for axis, size in enumerate(x)),)

    def _needs_along(self, axis: int, start: int, stop: int, size: int) -> tuple[int, int]:
        read = self.sources(axis, size)[start:stop]
        read = read[read >= 0]
        return (int(read.min()), int(read.max()) + 1) if read.size else (0, 0)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(inputs[0]))


_PAD = """AxPad <pads, mode, value, dtype> (x) => (y) {{
  value_i = Constant <value_int: int = @value> ()
  filling = Cast <to = {to}> (value_i)
  ends = Constant <value_ints: ints = @pads> ()
  y = Pad <mode: string = @mode> (x, ends, filling)
}}"""


@dataclass(frozen=True, eq=False)
class Concat(Mover):
    """`axis` on ONNX axes, not negative; every input already has the output's scale."""

    op_type: ClassVar[str] = "AxConcat"
    activations: ClassVar[int] = 0

    axis: int
    count: int
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        self._check_dtype()
        if self.axis < 0 or self.count < 1:
            raise ConstantError(f"{self.op_type} of {self.count} inputs on axis {self.axis} is not possible.")

    def body(self) -> onnx.FunctionProto:
        names = ", ".join(f"x{i}" for i in range(self.count))
        text = f"AxConcat <axis, count, dtype> ({names}) => (y) {{ y = Concat <axis: int = @axis> ({names}) }}"
        return parse_body(text, f"inputs{self.count}")

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
