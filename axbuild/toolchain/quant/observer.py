"""Statistics of tensors, gathered a sample at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.exact import ExactSum
from axbuild.toolchain.quant.histogram import Histogram, stride_of
from axbuild.toolchain.quant.statistics import Observed, Statistics, TensorStatistics

TOGETHER = 32
"""Most samples that are looked at together, and whose sampled values are counted together"""
ROOM = 1 << 16
"""Values that are looked at together: what a call costs is shared, and they still fit the cache"""


class SampleNotFiniteError(AxError):
    """A tensor of the float model holds a NaN or an infinity for some sample."""

    code = "AX353"


@dataclass
class TensorObserver:
    """Running statistics of one tensor. axis: of its channels.

    kept: room for several samples' values, of which nobody has looked at the first `waiting` yet; pending: means and
    strided values that wait to be counted; seen, counted: how many samples were; broken: which of them is the first
    that is not finite.
    """

    axis: int
    low: Array | None = None
    high: Array | None = None
    means: ExactSum = field(default_factory=ExactSum)
    histogram: Histogram | None = None
    kept: Array | None = None
    waiting: int = 0
    pending: list[tuple[Array, Array]] = field(default_factory=list)
    seen: int = 0
    counted: int = 0
    broken: int | None = None

    def see(self, tensor: Array) -> bool:
        """Take in one sample's value, float32 of the model's shape; False once one is known that is not finite."""
        if 2 * tensor.size > ROOM:
            self._look(tensor[np.newaxis])
            return self.broken is None
        if self.kept is None:
            self.kept = np.empty((min(TOGETHER, ROOM // tensor.size), *tensor.shape), np.float32)
        self.kept[self.waiting] = tensor
        self.waiting += 1
        if self.waiting == len(self.kept):
            self.look()
        return self.broken is None

    def look(self) -> None:
        """Look at what was kept."""
        if self.kept is not None and self.waiting:
            self._look(self.kept[: self.waiting])
            self.waiting = 0

    def _look(self, tensors: Array) -> None:
        low, high, means = by_channel(tensors, self.axis)
        finite = np.isfinite(means).all(axis=1)
        if self.broken is None and not finite.all():
            self.broken = self.seen + int(finite.argmin())
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        self.seen += len(tensors)
        self.pending.append((means, tensors.reshape(len(tensors), -1)[:, :: stride_of(tensors.shape[1:])].copy()))
        if self.seen >= self.counted + TOGETHER:
            self.count()

    def count(self) -> None:
        """Bring means and histogram up to date."""
        if self.pending and self.broken is None:
            means, values = (np.concatenate(parts) for parts in zip(*self.pending, strict=True))
            self.means.add(means.astype(np.float32))
            new = Histogram.of(values.reshape(-1))
            self.histogram = new if self.histogram is None else self.histogram.merged(new)
            self.pending.clear()
            self.counted = self.seen

    def statistics(self) -> TensorStatistics:
        """Of everything seen so far, all finite; there must have been a sample."""
        self.look()
        self.count()
        if self.low is None or self.high is None or self.histogram is None:
            raise ValueError("no sample was seen")
        whole = Observed(float(self.low.min()), float(self.high.max()), self.histogram)
        return TensorStatistics(whole, self.low, self.high, self.means)


def by_channel(tensors: Array, axis: int) -> tuple[Array, Array, Array]:
    """Of n samples' values [n, ...]: float32 minimum and maximum [c] along the tensor's `axis` over all of them, and
    float64 mean [n, c] of each; a scalar has one channel.

    A mean is finite just where all its values are.
    """
    samples, shape = len(tensors), tensors.shape[1:]
    before, channels = math.prod(shape[:axis]), shape[axis] if shape else 1
    parts = tensors.reshape(samples, before, channels, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        # In float32, which is twice as fast, while that does not overflow.
        sums = parts.sum(axis=(1, 3), dtype=np.float32).astype(np.float64)
        over = ~np.isfinite(sums).all(axis=1)
        if over.any():
            sums[over] = parts[over].sum(axis=(1, 3), dtype=np.float64)
        low, high = (_extremes(end, parts) for end in (np.minimum, np.maximum))
    return low, high, sums / np.float64(before * parts.shape[3])


def _extremes(end: np.ufunc, parts: Array) -> Array:
    """[c] of [n, b, c, m]: `reduceat` takes half the time of `reduce` where rows are short, as behind many strides."""
    before, channels, size = parts.shape[1:]
    if before > 1:
        found: Array = end.reduce(parts, axis=(0, 1, 3))
    else:
        rows = end.reduceat(parts.reshape(-1), np.arange(0, parts.size, size))
        found = end.reduce(rows.reshape(-1, channels), axis=0)
    return found


@dataclass
class Observer:
    """All tensors that are watched, in graph order. samples: the names of those seen."""

    tensors: dict[str, TensorObserver]
    samples: list[str] = field(default_factory=list)

    def see(self, sample: str, values: dict[str, Array]) -> None:
        """Take in one sample; raises SampleNotFiniteError where one is known that is not finite."""
        self.samples.append(sample)
        finite = [tensor.see(values[name]) for name, tensor in self.tensors.items()]
        if not all(finite):
            self._check()

    def statistics(self) -> Statistics:
        """Raises SampleNotFiniteError."""
        self._check()
        return Statistics(len(self.samples), {name: tensor.statistics() for name, tensor in self.tensors.items()})

    def _check(self) -> None:
        """Raise the SampleNotFiniteError of the first sample, and there of the first tensor."""
        for tensor in self.tensors.values():
            tensor.look()
        broken = [(tensor.broken, name) for name, tensor in self.tensors.items() if tensor.broken is not None]
        if broken:
            number, name = min(broken, key=lambda item: item[0])
            raise SampleNotFiniteError(
                f"tensor '{name}' of the float model is not finite for sample '{self.samples[number]}'",
                hint="look at the model and at mean and std: no range can hold an infinity or a NaN",
            )
