"""Axes taken apart, put in another order and joined: what trades pixels for channels, in one move."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import ConstantError, Ranges, ShapeError, memory_axis
from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.kinds.elementwise import rows_first
from axbuild.toolchain.kinds.mover import Mover

END = 2**63 - 1
"""an end beyond every axis"""
Groups = tuple[tuple[int, ...], ...]
"""factors of one axis after the other, the outermost first"""


@dataclass(frozen=True)
class Rearranged:
    """What a part of the output needs. read: the part of x, in ONNX order; apart: the extents of its factors; joined:
    the shape they are joined to; starts: where the part begins in that."""

    read: Ranges
    apart: Shape
    joined: Shape
    starts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Rearrange(Mover):
    """y = Slice(Reshape(Transpose(Reshape(x, apart), order), joined), starts, ends), all axes of y sliced by one.

    apart, joined: dim 0 may be -1 for the batch; each axis of x is a product of neighbours in `apart`, each of y one in
    the new order. An end beyond its axis stands for the end.
    """

    spellings: ClassVar = {"AxRearrange": {}}

    type: ElementType
    apart: tuple[int, ...]
    order: tuple[int, ...]
    joined: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def __post_init__(self) -> None:
        shapes = (self.apart, self.joined)
        sound = all(shape and min(shape[1:], default=1) > 0 and (shape[0] > 0 or shape[0] == -1) for shape in shapes)
        cut = len(self.starts) == len(self.ends) == len(self.joined) and min(self.starts, default=0) >= 0
        if not sound or not cut or sorted(self.order) != list(range(len(self.apart))):
            raise ConstantError(
                f"{self.op_type} cannot join {self.apart} in the order {self.order} to {self.joined} from "
                f"{self.starts} to {self.ends}."
            )

    @classmethod
    def whole(cls, elements: ElementType, apart: Shape, order: tuple[int, ...], joined: Shape) -> Rearrange:
        """Nothing is cut off."""
        return cls(elements, apart, order, joined, (0,) * len(joined), (END,) * len(joined))

    def text(self) -> str:
        return """
  factors = Constant <value_ints: ints = @apart> ()
  taken = Reshape (x, factors)
  ordered = Transpose <perm: ints = @order> (taken)
  target = Constant <value_ints: ints = @joined> ()
  whole = Reshape (ordered, target)
  from = Constant <value_ints: ints = @starts> ()
  to = Constant <value_ints: ints = @ends> ()
  y = Slice (whole, from, to)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        self._groups(x)
        joined = _resolved(self.joined, math.prod(x))
        shape = tuple(min(end, size) - start for start, end, size in zip(self.starts, self.ends, joined, strict=True))
        if min(shape) < 1:
            raise ShapeError(f"{self.op_type} from {self.starts} to {self.ends} leaves nothing of {joined}.")
        return shape

    def _groups(self, x: Shape) -> tuple[Shape, Groups, Groups]:
        """(the factors' extents, the factors of each axis of x, and of each axis of y)."""
        apart = _resolved(self.apart, math.prod(x))
        joined = _resolved(self.joined, math.prod(x))
        here = _grouped(apart, range(len(apart)), x)
        there = _grouped(apart, self.order, joined)
        if here is None or there is None:
            raise ShapeError(f"{self.op_type} cannot take {x} apart into {self.apart}, or join it to {self.joined}.")
        return apart, here, there

    def part(self, out: Ranges, x: Shape) -> Rearranged:
        """What a part of the output needs."""
        apart, here, there = self._groups(x)
        ranges = [(0, size) for size in apart]
        for own, start, group in zip(out, self.starts, there, strict=True):
            _narrow(ranges, group, apart, own[0] + start, own[1] + start)
        _widen(ranges, apart, (*here, *there))
        read = tuple(_span(ranges, group, apart) for group in here)
        joined = tuple(_span(ranges, group, apart) for group in there)
        starts = tuple(own[0] + cut - span[0] for own, cut, span in zip(out, self.starts, joined, strict=True))
        extents = tuple(stop - start for start, stop in ranges)
        return Rearranged(read, extents, tuple(stop - start for start, stop in joined), starts)

    def needs(self, out: Ranges, *inputs: Shape) -> tuple[Ranges, ...]:
        return (self.part(out, inputs[0]).read,)

    def tile_axes(self, *inputs: Shape) -> tuple[int, ...]:
        """Those whose parts are parts of the input: both begin with the same factor."""
        apart, here, there = self._groups(inputs[0])
        first = {_outermost(group, apart) for group in here}
        rank = len(self.joined)
        fit = {memory_axis(axis, rank) for axis, group in enumerate(there) if _outermost(group, apart) in first}
        return tuple(axis for axis in rows_first(rank) if axis in fit)


def _resolved(shape: Shape, elements: int) -> Shape:
    """Dim 0 as a number."""
    return (elements // math.prod(shape[1:]), *shape[1:]) if shape[0] == -1 else shape


def _grouped(apart: Shape, factors: Sequence[int], shape: Shape) -> Groups | None:
    """The factors whose product each axis is; None where they do not fit."""
    groups, left = [], list(factors)
    for size in shape:
        group, product = [], 1
        while left and (product < size or apart[left[0]] == 1):
            group.append(left.pop(0))
            product *= apart[group[-1]]
        if product != size:
            return None
        groups.append(tuple(group))
    return None if left else tuple(groups)


def _outermost(group: tuple[int, ...], apart: Shape) -> int | None:
    return next((factor for factor in group if apart[factor] > 1), None)


def _narrow(ranges: list[tuple[int, int]], group: tuple[int, ...], apart: Shape, start: int, stop: int) -> None:
    """Ranges of an axis' factors whose product holds start..stop; behind the first of several elements all."""
    for place, factor in enumerate(group):
        inner = math.prod(apart[other] for other in group[place + 1 :])
        first, last = start // inner, -(-stop // inner)
        ranges[factor] = (first, last)
        if last - first > 1:
            return
        start, stop = start - first * inner, stop - first * inner


def _widen(ranges: list[tuple[int, int]], apart: Shape, groups: Groups) -> None:
    """Until the factors' ranges are one stretch of every axis: behind one of several elements, the others are whole."""
    changed = True
    while changed:
        changed = False
        for group in groups:
            several = False
            for factor in group:
                if several and ranges[factor] != (0, apart[factor]):
                    ranges[factor] = (0, apart[factor])
                    changed = True
                several = several or ranges[factor][1] - ranges[factor][0] > 1


def _span(ranges: list[tuple[int, int]], group: tuple[int, ...], apart: Shape) -> tuple[int, int]:
    """The stretch of an axis that its factors' ranges are."""
    start = last = 0
    for factor in group:
        start = start * apart[factor] + ranges[factor][0]
        last = last * apart[factor] + ranges[factor][1] - 1
    return start, last + 1
