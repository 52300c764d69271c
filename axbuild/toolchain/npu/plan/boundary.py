"""A tensor at the border of a subgraph: what it holds for one sample, and how samples are joined and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.codes import type_of_dtype

FROM_DATA = -1
"""in a shape: the size depends on data"""


class RangeError(AxError):
    """AX482: a value that the element type on the NPU does not hold."""

    code = "AX482"


@dataclass(frozen=True)
class BoundaryTensor:
    """Of one sample, as the float model has it; of codes where it runs from one NPU subgraph to another.

    dtype: numpy's name; of an input with pre-processing, that of its source, as shape is.
    batch_axis: the axis along which samples lie side by side; None where they cannot be joined.
    sample_step: what column 0 grows by from one sample to the next where it numbers them, 0 where it does not.
    layout ("NHWC", "NCHW") and color ("GRAY", "BGR", "RGB") of an image input, "" elsewhere.
    """

    name: str
    dtype: str
    shape: Shape
    batch_axis: int | None = 0
    sample_step: int = 0
    layout: str = ""
    color: str = ""

    @property
    def static(self) -> bool:
        return FROM_DATA not in self.shape

    @property
    def carried(self) -> str:
        """numpy's name of what the NPU holds instead."""
        return type_of_dtype(self.dtype).carried

    def at_batch(self, batch: int) -> Shape:
        """The shape of `batch` samples together."""
        factors = (batch if axis == self.batch_axis else 1 for axis in range(len(self.shape)))
        return tuple(
            size if size == FROM_DATA else size * factor for size, factor in zip(self.shape, factors, strict=True)
        )

    def fits(self, array: Array) -> bool:
        """Whether the array has this dtype, and a shape of one sample."""
        if array.dtype != np.dtype(self.dtype) or array.ndim != len(self.shape):
            return False
        return all(size in (FROM_DATA, found) for size, found in zip(self.shape, array.shape, strict=True))

    def sample(self, array: Array, number: int) -> Array:
        """One sample out of several; the array itself where they have no axis of their own."""
        if self.batch_axis is None:
            return array
        size = self.shape[self.batch_axis]
        part = [slice(None)] * array.ndim
        part[self.batch_axis] = slice(number * size, (number + 1) * size)
        return np.ascontiguousarray(array[tuple(part)])

    def joined(self, samples: Sequence[Array]) -> Array:
        """Several samples as one array; numbers of samples in column 0 count on."""
        if len(samples) == 1 or self.batch_axis is None:
            return samples[0]
        return np.concatenate([self._renumbered(array, n) for n, array in enumerate(samples)], axis=self.batch_axis)

    def _renumbered(self, array: Array, number: int) -> Array:
        if not self.sample_step:
            return array
        moved = array.copy()
        moved[:, 0] += number * self.sample_step
        return moved

    def to_npu(self, array: Array) -> Array:
        """The array as the NPU holds it; RangeError for an INT64 value that INT32 does not hold."""
        if self.carried == self.dtype:
            return array
        held = array.astype(self.carried)
        if (odd := held != array).any():
            raise RangeError(
                f"'{self.name}' holds {array[odd].flat[0]}, beyond what the NPU holds of {self.dtype} ({self.carried})"
            )
        return held

    def from_npu(self, array: Array) -> Array:
        """What the NPU holds, as the model's own dtype."""
        return array.astype(self.dtype, copy=False)
