"""Statistics of tensors, gathered a sample at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.statistics import Statistics, TensorStatistics

SAMPLED = 4096
"""Most values of a tensor that go into its histogram, a sample"""
PENDING = 32
"""Samples whose strided values wait to be counted together"""


class NotFiniteError(AxError):
    """A tensor of the float model holds a NaN or an infinity for some sample."""

    code = "AX353"


@dataclass
class TensorObserver:
    """Running statistics of one tensor."""

    low: Array | None = None
    high: Array | None = None
    mean_sum: Array | None = None
    pending: list[Array] = field(default_factory=list)
    histogram: Histogram | None = None

    def see(self, tensor: Array) -> None:
        """Take in one sample's value, float32 of the model's shape."""
        low, high, mean = _by_channel(tensor)
        if self.low is None or self.high is None or self.mean_sum is None:
            self.low, self.high, self.mean_sum = low, high, mean
        else:
            np.minimum(self.low, low, out=self.low)
            np.maximum(self.high, high, out=self.high)
            self.mean_sum += mean
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
        if self.low is None or self.high is None or self.mean_sum is None or self.histogram is None:
            raise ValueError("no sample was seen")
        return TensorStatistics(
            float(self.low.min()), float(self.high.max()), self.low, self.high, self.mean_sum, self.histogram
        )


def stride_of(shape: tuple[int, ...]) -> int:
    """Step that takes at most 4,096 values and, having no factor in common with the rows, meets every column."""
    stride = -(-math.prod(shape) // SAMPLED) or 1
    while stride > 1 and shape and math.gcd(stride, shape[-1]) > 1:
        stride += 1
    return stride


def _by_channel(tensor: Array) -> tuple[Array, Array, Array]:
    """float32 minimum and maximum [c], float64 mean [c]."""
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        rows = tensor.reshape(tensor.shape[1], -1)
        return rows.min(axis=1), rows.max(axis=1), _row_means(rows)
    if tensor.ndim < 2:
        flat = tensor.reshape(1, -1)
        return flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1, dtype=np.float64)
    axes = (0, 2, 3) if tensor.ndim == 4 else tuple(range(tensor.ndim - 1))
    return tensor.min(axis=axes), tensor.max(axis=axes), tensor.mean(axis=axes, dtype=np.float64)


def _row_means(rows: Array) -> Array:
    """float64 means of float32 rows, summed in float32, which is twice as fast, while that does not overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = rows.sum(axis=1)
        if not np.isfinite(sums).all():
            sums = rows.sum(axis=1, dtype=np.float64)
    means: Array = sums.astype(np.float64) / rows.shape[1]
    return means


@dataclass
class Observer:
    """All tensors that are watched, in graph order."""

    tensors: dict[str, TensorObserver]
    samples: int = 0

    def see(self, sample: str, values: dict[str, Array]) -> None:
        """Take in one sample; raises NotFiniteError naming the tensor and the sample."""
        for name, tensor in self.tensors.items():
            tensor.see(values[name])
            if not tensor.finite():
                raise NotFiniteError(
                    f"tensor '{name}' of the float model is not finite for sample '{sample}'",
                    hint="look at the model and at mean and std: no range can hold an infinity or a NaN",
                )
        self.samples += 1

    def statistics(self) -> Statistics:
        return Statistics(self.samples, {name: tensor.statistics() for name, tensor in self.tensors.items()})
