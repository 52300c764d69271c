"""Slicing and padding of a run-time input: which part of it the model sees, and what stands around that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.graph import Array, Shape

Ends = tuple[tuple[int, int], ...]
"""of each axis: how much at its begin and at its end"""


class FrameError(AxError):
    """AX407: padding or slicing that does not fit an input."""

    code = "AX407"


@dataclass(frozen=True)
class Frame:
    """Begin and end of each axis of the model's input, axis after axis; () is none.

    slicing: what is cut off, first; padding: what is added then, all of it `value`.
    """

    slicing: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    value: int = 0

    @property
    def cut(self) -> Ends:
        return _ends(self.slicing)

    @property
    def added(self) -> Ends:
        return _ends(self.padding)

    def check(self, what: str, shape: Shape) -> None:
        """Raises FrameError where it does not fit the model's input of that shape."""
        for name, numbers in (("slicing", self.slicing), ("padding", self.padding)):
            if numbers and len(numbers) != 2 * len(shape):
                expected = f"{counted(2 * len(shape), 'number')}, begin and end of each axis"
                raise FrameError(f"{what}: {name} has {counted(len(numbers), 'number')} and takes {expected}.")
            if min(numbers, default=0) < 0 or any(numbers[:2]):
                raise FrameError(f"{what}: {name} takes no negative number, and nothing along axis 0, the samples'.")
        if min(self._inner(shape)) < 1:
            raise FrameError(f"{what}: padding leaves nothing of {list(shape)} to the run-time input.")

    def source_shape(self, shape: Shape) -> Shape:
        """Of the run-time input, on the model's axes."""
        inner = self._inner(shape)
        cut = self.cut or ((0, 0),) * len(shape)
        return tuple(size + sum(ends) for size, ends in zip(inner, cut, strict=True))

    def _inner(self, shape: Shape) -> Shape:
        """Of the part that is both seen and given."""
        added = self.added or ((0, 0),) * len(shape)
        return tuple(size - sum(ends) for size, ends in zip(shape, added, strict=True))

    def seen(self, source: Array) -> Array:
        """What the model sees of a run-time input."""
        part = source[_inside(source.shape, self.cut)]
        return np.pad(part, self.added, constant_values=self.value) if self.padding else part

    def source(self, array: Array) -> Array:
        """A run-time input for what the model should see, zeros where it is cut off."""
        part = array[_inside(array.shape, self.added)]
        return np.pad(part, self.cut) if self.slicing else part


def _ends(numbers: Sequence[int]) -> Ends:
    return tuple(zip(numbers[::2], numbers[1::2], strict=False))


def _inside(shape: Shape, ends: Ends) -> tuple[slice, ...]:
    return tuple(slice(begin, size - end) for size, (begin, end) in zip(shape, ends, strict=False))
