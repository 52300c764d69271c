"""Elements by positions that are known at run time only: read from them, or put there.

An index below 0 counts from the end of its axis; one that names no position is an error where it is met, in onnxruntime
and in the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import ConstantError, Ranges, ShapeError, memory_axis, whole
from axbuild.toolchain.kinds.codes import CODES, INT32, INT64, TYPES, Edge, ElementType
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.integer import INTEGERS
from axbuild.toolchain.kinds.mover import Mover
from axbuild.toolchain.kinds.text import I64

REDUCTIONS = ("none", "max", "min", "add", "mul")
"""what becomes of an element that something is put over; none: it goes"""
ORDERLESS = {"none": TYPES, "max": (*CODES, *INTEGERS), "min": (*CODES, *INTEGERS), "add": INTEGERS, "mul": INTEGERS}
"""reduction -> element types of which it gives the same in any order"""


class Indexed(Mover):
    """A mover whose second input is the positions. type: of the elements; index: INT32 or INT64."""

    index: ElementType

    def __post_init__(self) -> None:
        if self.index not in (INT32, INT64):
            raise ConstantError(f"{self.op_type} takes indices of {INT32} or {INT64}, not {self.index}.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.type, self.index

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        return rows_first(len(self.output_shape(*inputs)))

    def refuse(self, *inputs: Shape) -> ShapeError:
        return ShapeError(f"{self.op_type} cannot read {' with '.join(map(str, inputs))}.")


@dataclass(frozen=True, eq=False)
class Pick(Indexed):
    """ONNX Gather: y[before, at, behind] = a[before, b[at], behind] with `axis` axes before."""

    spellings: ClassVar = {"AxPick": {}}

    type: ElementType
    index: ElementType
    axis: int

    def text(self) -> str:
        return """
  y = Gather <axis: int = @axis> (a, b)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, index = inputs
        if not 0 <= self.axis < len(x) or not index:
            raise self.refuse(*inputs)
        return (*x[: self.axis], *index, *x[self.axis + 1 :])

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        x, index = inputs
        behind = self.axis + len(index)
        return (*out[: self.axis], (0, x[self.axis]), *out[behind:]), out[self.axis : behind]


@dataclass(frozen=True, eq=False)
class PickElements(Indexed):
    """ONNX GatherElements: y[before, i, behind] = a[before, b[before, i, behind], behind] with `axis` axes before."""

    spellings: ClassVar = {"AxPickElements": {}}

    type: ElementType
    index: ElementType
    axis: int

    def text(self) -> str:
        return """
  y = GatherElements <axis: int = @axis> (a, b)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, index = inputs
        if not _fits(x, index, self.axis):
            raise self.refuse(*inputs)
        return index

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (*out[: self.axis], (0, inputs[0][self.axis]), *out[self.axis + 1 :]), out


@dataclass(frozen=True, eq=False)
class PickParts(Indexed):
    """ONNX GatherND: y[lead, at, rest] = a[lead, b[lead, at], rest], `lead` axes that both share."""

    spellings: ClassVar = {"AxPickParts": {}}

    type: ElementType
    index: ElementType
    lead: int

    def text(self) -> str:
        return f"""
  at = Cast <to = {I64}> (b)
  y = GatherND <batch_dims: int = @lead> (a, at)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, index = inputs
        if not 0 <= self.lead < len(index) or self.lead + index[-1] > len(x) or x[: self.lead] != index[: self.lead]:
            raise self.refuse(*inputs)
        shape = (*index[:-1], *x[self.lead + index[-1] :])
        if not shape:
            raise self.refuse(*inputs)
        return shape

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        x, index = inputs
        rest = self.lead + index[-1]
        found = len(index) - 1
        return (*out[: self.lead], *whole(x[self.lead : rest]), *out[found:]), (*out[:found], (0, index[-1]))


class Put(Indexed):
    """A mover that writes over its first input; what is put stands on its grid. Of two values put at one place the one
    that stays is not defined where `reduction` is none. Sums and products of whole numbers fit 32 bits."""

    reduction: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.type not in ORDERLESS.get(self.reduction, ()):
            raise ConstantError(f"{self.op_type} of {self.type} does not know the reduction '{self.reduction}'.")

    @property
    def reads(self) -> tuple[Edge, ...]:
        return self.type, self.index, self.type

    @property
    def variant(self) -> str:
        return self.reduction


@dataclass(frozen=True, eq=False)
class PutElements(Put):
    """ONNX ScatterElements: x2 goes into x0, each element to the place along `axis` that x1 has for it."""

    spellings: ClassVar = {"AxPutElements": {}}

    type: ElementType
    index: ElementType
    axis: int
    reduction: str

    def text(self) -> str:
        return f"""
  y = ScatterElements <axis: int = @axis, reduction = "{self.reduction}"> (x0, x1, x2)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, index, updates = inputs
        if not _fits(x, index, self.axis) or index != updates:
            raise self.refuse(*inputs)
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        put = tuple(
            (0, size) if axis == self.axis else (min(start, size), min(stop, size))
            for axis, ((start, stop), size) in enumerate(zip(out, inputs[1], strict=True))
        )
        return out, put, put

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        x, index, _ = inputs
        kept = {memory_axis(axis, len(x)) for axis in range(len(x)) if axis == self.axis or x[axis] != index[axis]}
        return tuple(axis for axis in rows_first(len(x)) if axis not in kept)


@dataclass(frozen=True, eq=False)
class PutParts(Put):
    """ONNX ScatterND: x0[x1[at], rest] becomes x2[at, rest]."""

    spellings: ClassVar = {"AxPutParts": {}}

    type: ElementType
    index: ElementType
    reduction: str

    def text(self) -> str:
        return f"""
  at = Cast <to = {I64}> (x1)
  y = ScatterND <reduction = "{self.reduction}"> (x0, at, x2)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        x, index, updates = inputs
        if not index or index[-1] > len(x) or updates != (*index[:-1], *x[index[-1] :]):
            raise self.refuse(*inputs)
        return x

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        x, index, updates = inputs
        places, rest = len(index) - 1, out[index[-1] :]
        return (*whole(x[: index[-1]]), *rest), whole(index), (*whole(updates[:places]), *rest)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        x, index, _ = inputs
        rest = {memory_axis(axis, len(x)) for axis in range(index[-1], len(x))}
        return tuple(axis for axis in rows_first(len(x)) if axis in rest)


def _fits(x: Shape, index: Shape, axis: int) -> bool:
    """Whether positions of that shape lie along an axis of x, inside it along every other one."""
    if not 0 <= axis < len(x) or len(x) != len(index):
        return False
    return all(own == axis or index[own] <= x[own] for own in range(len(x)))
