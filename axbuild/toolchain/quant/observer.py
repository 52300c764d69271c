"""Statistics of tensors, gathered a sample at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.exact import ExactSum
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.statistics import Observed, Statistics, TensorStatistics

SAMPLED = 4096
"""Most values of a tensor that go into its histogram, a sample"""
PENDING = 32
"""Samples whose strided values wait to be counted together"""


class SampleNotFiniteError(AxError):
    """A tensor of the float model holds a NaN or an infinity for some sample."""

    code = "AX353"


@dataclass
class TensorObserver:
    """Running statistics of one tensor. axis: of its channels."""

    axis: int
    low: Array | None = None
    high: Array | None = None
    means: ExactSum = field(default_factory=ExactSum)
    histogram: Histogram | None = None
    pending: list[tuple[Array, Array]] = field(default_factory=list)

    def see(self, tensor: Array) -> bool:
        """Take in one sample's value, float32 of the model's shape; one that is not finite is refused with False."""
        low, high, mean = by_channel(tensor, self.axis)
        if not np.isfinite(mean).all():
            return False
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        self.pending.append((mean, tensor.reshape(-1)[:: stride_of(tensor.shape)].copy()))
        if len(self.pending) == PENDING:
            self.count()
        return True

    def count(self) -> None:
        """Bring means and histogram up to date."""
        if self.pending:
            means, values = zip(*self.pending, strict=True)
            self.means.add(np.stack(means).astype(np.float32))
            new = Histogram.of(np.concatenate(values))
            self.histogram = new if self.histogram is None else self.histogram.merged(new)
            self.pending.clear()

    def statistics(self) -> TensorStatistics:
        """Of everything seen so far; there must have been a sample."""
        self.count()
        if self.low is None or self.high is None or self.histogram is None:
            raise ValueError("no sample was seen")
        whole = Observed(float(self.low.min()), float(self.high.max()), self.histogram)
        return TensorStatistics(whole, self.low, self.high, self.means)


def stride_of(shape: tuple[int, ...]) -> int:
    """Step that takes at most 4,096 values and, having no factor in common with the rows, meets every column."""
    stride = -(-math.prod(shape) // SAMPLED) or 1
    while stride > 1 and shape and math.gcd(stride, shape[-1]) > 1:
        stride += 1
    return stride


def by_channel(tensor: Array, axis: int) -> tuple[Array, Array, Array]:
    """float32 minimum and maximum and float64 mean [c] along `axis`; a scalar has one channel.

    A mean is finite just where all its values are.
    """
    before, channels = math.prod(tensor.shape[:axis]), tensor.shape[axis] if tensor.ndim else 1
    parts = tensor.reshape(before, channels, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        # In float32, which is twice as fast, while that does not overflow.
        sums = parts.sum(axis=(0, 2), dtype=np.float32)
        if not np.isfinite(sums).all():
            sums = parts.sum(axis=(0, 2), dtype=np.float64)
        low, high = (_extremes(end, parts) for end in (np.minimum, np.maximum))
    return low, high, sums / np.float64(before * parts.shape[2])


def _extremes(end: np.ufunc, parts: Array) -> Array:
    """[c] of [n, c, m]: `reduceat` takes half the time of `reduce` where rows are short, as behind many strides."""
    before, channels, size = parts.shape
    if before > 1:
        found: Array = end.reduce(parts, axis=(0, 2))
    else:
        found = end.reduceat(parts.reshape(-1), np.arange(0, channels * size, size))
    return found


@dataclass
class Observer:
    """All tensors that are watched, in graph order."""

    tensors: dict[str, TensorObserver]
    samples: int = 0

    def see(self, sample: str, values: dict[str, Array]) -> None:
        """Take in one sample; raises SampleNotFiniteError naming the tensor and the sample."""
        for name, tensor in self.tensors.items():
            if not tensor.see(values[name]):
                raise SampleNotFiniteError(
                    f"tensor '{name}' of the float model is not finite for sample '{sample}'",
                    hint="look at the model and at mean and std: no range can hold an infinity or a NaN",
                )
        self.samples += 1

    def statistics(self) -> Statistics:
        return Statistics(self.samples, {name: tensor.statistics() for name, tensor in self.tensors.items()})
