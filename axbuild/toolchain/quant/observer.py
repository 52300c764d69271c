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
    pending: list[Array] = field(default_factory=list)
    histogram: Histogram | None = None

    def see(self, tensor: Array) -> None:
        """Take in one sample's value, float32 of the model's shape; not finite values stop it before the sums."""
        low, high, mean = by_channel(tensor, self.axis)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        if not self.finite():
            return
        self.means.add(mean)
        self.pending.append(tensor.reshape(-1)[:: stride_of(tensor.shape)].copy())
        if len(self.pending) == PENDING:
            self.count()

    def count(self) -> None:
        """Bring the histogram up to date."""
        if self.pending:
            new = Histogram.of(np.concatenate(self.pending))
            self.histogram = new if self.histogram is None else self.histogram.merged(new)
            self.pending.clear()

    def finite(self) -> bool:
        ends = (self.low, self.high)
        return all(end is not None and bool(np.isfinite(end).all()) for end in ends)

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
    """float32 minimum, maximum and mean [c] along `axis`; a scalar has one channel."""
    if tensor.ndim == 0:
        flat = tensor.reshape(1)
        return flat, flat, flat
    before, channels = math.prod(tensor.shape[:axis]), tensor.shape[axis]
    if before == 1:
        rows = tensor.reshape(channels, -1)
        return rows.min(axis=1), rows.max(axis=1), _means(rows, (1,))
    parts = tensor.reshape(before, channels, -1)
    return parts.min(axis=(0, 2)), parts.max(axis=(0, 2)), _means(parts, (0, 2))


def _means(parts: Array, axes: tuple[int, ...]) -> Array:
    """float32 means, summed in float32, which is twice as fast, while that does not overflow."""
    count = math.prod(parts.shape[axis] for axis in axes)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = parts.sum(axis=axes)
        if not np.isfinite(sums).all():
            sums = parts.sum(axis=axes, dtype=np.float64)
        means: Array = (sums.astype(np.float64) / count).astype(np.float32)
    return means


@dataclass
class Observer:
    """All tensors that are watched, in graph order."""

    tensors: dict[str, TensorObserver]
    samples: int = 0

    def see(self, sample: str, values: dict[str, Array]) -> None:
        """Take in one sample; raises SampleNotFiniteError naming the tensor and the sample."""
        for name, tensor in self.tensors.items():
            tensor.see(values[name])
            if not tensor.finite():
                raise SampleNotFiniteError(
                    f"tensor '{name}' of the float model is not finite for sample '{sample}'",
                    hint="look at the model and at mean and std: no range can hold an infinity or a NaN",
                )
        self.samples += 1

    def statistics(self) -> Statistics:
        return Statistics(self.samples, {name: tensor.statistics() for name, tensor in self.tensors.items()})
