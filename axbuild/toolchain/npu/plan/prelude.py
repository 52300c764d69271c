"""Kinds one behind another, or side by side, that make one tensor of another: what stands before a model's input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import ElementType, type_of


@dataclass(frozen=True)
class InsertedOp:
    """An operator in front of or behind a model's own, as a user is told of it.

    name, op_type, attributes: as the vendor calls them; dtype, shape: of what it reads; step: what it does, in a word;
    within: the operator of the program that does it among other things, "" where it stands by itself.
    """

    name: str
    op_type: str
    attributes: dict[str, Any]
    dtype: str
    shape: Shape
    step: str
    within: str = ""


@dataclass
class Prelude:
    """Each kind with what it reads: 0 is the tensor that all begins with, n what the n-th kind made.

    The last one makes the result; without any, that is the tensor itself. type, shape: of what was made last, kept by
    `insert`; told: what a user is told was inserted.
    """

    type: ElementType
    shape: Shape
    taken: list[tuple[Kind, tuple[int, ...]]] = field(default_factory=list)
    told: list[InsertedOp] = field(default_factory=list)

    def add(self, kind: Kind, *reads: int) -> int:
        """Of what was made last, where nothing is named; the number of what it makes."""
        self.taken.append((kind, reads or (len(self.taken),)))
        return len(self.taken)

    def insert(self, kind: Kind, *told: tuple[str, str, str, dict[str, Any]]) -> None:
        """A kind of one input, and what it is told as: (step, name, type, attributes) each, in order."""
        for place, (step, name, op_type, attributes) in enumerate(told):
            # What follows on a dequantisation in the same kind reads reals.
            dtype = self.type.name if not place else "FP32"
            within = "" if op_type == kind.op_type else kind.op_type
            self.told.append(InsertedOp(name, op_type, attributes, dtype, self.shape, step, within))
        self.add(kind)
        self.type, self.shape = type_of(kind.writes), kind.output_shape(self.shape)
