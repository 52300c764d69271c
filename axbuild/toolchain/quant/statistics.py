"""What observation knows of each tensor, and the file it stands in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant import exact
from axbuild.toolchain.quant.exact import ExactSum
from axbuild.toolchain.quant.histogram import Histogram, well_formed

FORMAT = "axbuild-statistics/2"


class StatisticsError(AxError):
    """A statistics file that is damaged, contradicts itself, or belongs to another model."""

    code = "AX351"


@dataclass(frozen=True)
class Missed:
    """Values that lie beyond all that a histogram counted. reals, counts: float64 [n], how many of the histogram's
    counts each is worth."""

    reals: Array
    counts: Array

    def joined(self, other: Missed) -> Missed:
        return Missed(*(np.concatenate(pair) for pair in ((self.reals, other.reals), (self.counts, other.counts))))

    def distances(self, lo: Array, hi: Array) -> Array:
        """float64 [n]: the sum of the squared distances to each of n ranges."""
        found = np.zeros(len(lo))
        for real, count in zip(self.reals.tolist(), self.counts.tolist(), strict=True):
            found += count * np.maximum(np.maximum(lo - real, real - hi), 0.0) ** 2
        return found


NOTHING_MISSED = Missed(np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Observed:
    """Values of one tensor, or of several that share a grid. minimum, maximum: exact, finite float32 values.

    histogram: of every `stride`-th value of each sample. missed: what is known of others.
    """

    minimum: float
    maximum: float
    histogram: Histogram
    missed: Missed = NOTHING_MISSED

    def merged(self, other: Observed) -> Observed:
        """Both together; exact, and the same in any order."""
        low, high = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        return Observed(low, high, self.histogram.merged(other.histogram), self.missed.joined(other.missed))


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor over all samples.

    channel_minimum, channel_maximum: float32 [c] along the axis that the watch list names; channel_means: exact sums
    [c] of the samples' means, each rounded to float32.
    """

    whole: Observed
    channel_minimum: Array
    channel_maximum: Array
    channel_means: ExactSum

    def with_missed(self, count: float) -> Observed:
        """`whole`, with the ends of channels that no value in the histogram reaches, each of them worth `count`."""
        histogram = self.whole.histogram
        lo, hi = (
            math.ldexp(edge, histogram.exponent) for edge in (histogram.first, histogram.first + len(histogram.counts))
        )
        beyond = [self.channel_minimum[self.channel_minimum < lo], self.channel_maximum[self.channel_maximum > hi]]
        reals = np.sort(np.concatenate(beyond).astype(np.float64))
        return replace(self.whole, missed=Missed(reals, np.full(len(reals), count)))

    @property
    def channels(self) -> int:
        return len(self.channel_minimum)

    def merged(self, other: TensorStatistics) -> TensorStatistics:
        """Both together; exact, and the same in any order."""
        return TensorStatistics(
            self.whole.merged(other.whole),
            np.minimum(self.channel_minimum, other.channel_minimum),
            np.maximum(self.channel_maximum, other.channel_maximum),
            self.channel_means.merged(other.channel_means),
        )


@dataclass(frozen=True)
class Statistics:
    """All tensors of a model, in graph order, over `samples` samples.

    The file is one msgpack map: "format": "axbuild-statistics/2"; "samples": int; "tensors": a list of maps with
    "name" str, "minimum" and "maximum" float (float32 values), "channel_minimum" and "channel_maximum" bin
    (little-endian float32), "channel_means" a list of [exponent, bin of little-endian int64] whose sum is exact,
    "exponent" and "first" int (bin k of the histogram counts values in [(first + k) 2^exponent,
    (first + k + 1) 2^exponent)), "counts" bin (little-endian int64).
    """

    samples: int
    tensors: Mapping[str, TensorStatistics]

    def merged(self, other: Statistics) -> Statistics:
        """Both together; raises StatisticsError where they are not of one model."""
        if list(self.tensors) != list(other.tensors):
            odd = sorted(set(self.tensors) ^ set(other.tensors))
            named = f": '{odd[0]}' is in one only" if odd else ": the order differs"
            raise StatisticsError(f"two parts of the statistics do not hold the same tensors{named}")
        tensors: dict[str, TensorStatistics] = {}
        for name, tensor in self.tensors.items():
            if tensor.channels != other.tensors[name].channels:
                raise StatisticsError(f"two parts of the statistics give tensor '{name}' different numbers of channels")
            tensors[name] = tensor.merged(other.tensors[name])
        return Statistics(self.samples + other.samples, tensors)

    def joined(self, other: Statistics) -> Statistics:
        """Of other tensors over the same samples; raises StatisticsError where they are not that."""
        if twice := self.tensors.keys() & other.tensors.keys():
            raise StatisticsError(f"two parts of the statistics hold tensor '{min(twice)}'")
        if self.samples != other.samples:
            raise StatisticsError(f"two parts of the statistics are of {self.samples} and {other.samples} samples")
        return Statistics(self.samples, {**self.tensors, **other.tensors})

    def write(self, path: Path) -> None:
        content = {
            "format": FORMAT,
            "samples": self.samples,
            "tensors": [_packed(name, tensor) for name, tensor in self.tensors.items()],
        }
        path.write_bytes(msgpack.packb(content))

    @staticmethod
    def read(path: Path) -> Statistics:
        """Raises StatisticsError on anything that is not exactly the format above."""
        try:
            content = msgpack.unpackb(path.read_bytes(), strict_map_key=True)
        except (ValueError, msgpack.exceptions.UnpackException) as error:
            raise StatisticsError(f"the statistics file is damaged: {error or type(error).__name__}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise StatisticsError(f"the statistics file is not of the format {FORMAT}")
        samples, tensors = content.get("samples"), content.get("tensors")
        if not isinstance(samples, int) or samples < 1 or not isinstance(tensors, list):
            raise StatisticsError("the statistics file lacks its number of samples or its tensors")
        read = [_unpacked(entry) for entry in tensors]
        if len(dict(read)) != len(read):
            raise StatisticsError("the statistics file names a tensor twice")
        return Statistics(samples, dict(read))


def _packed(name: str, tensor: TensorStatistics) -> dict[str, Any]:
    parts = tensor.channel_means.parts
    return {
        "name": name,
        "minimum": tensor.whole.minimum,
        "maximum": tensor.whole.maximum,
        "channel_minimum": tensor.channel_minimum.astype("<f4").tobytes(),
        "channel_maximum": tensor.channel_maximum.astype("<f4").tobytes(),
        "channel_means": [[place, parts[place].astype("<i8").tobytes()] for place in sorted(parts)],
        "exponent": tensor.whole.histogram.exponent,
        "first": tensor.whole.histogram.first,
        "counts": tensor.whole.histogram.counts.astype("<i8").tobytes(),
    }


def _unpacked(entry: Any) -> tuple[str, TensorStatistics]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise StatisticsError("the statistics file holds a tensor without a name")
    name = entry["name"]
    low, high = _finite(entry, "minimum"), _finite(entry, "maximum")
    channels = [_array(entry.get(key), key, name, "<f4") for key in ("channel_minimum", "channel_maximum")]
    counts = _array(entry.get("counts"), "counts", name, "<i8")
    exponent, first = entry.get("exponent"), entry.get("first")
    if low > high or not channels[0].size or channels[0].shape != channels[1].shape:
        raise StatisticsError(f"the statistics of tensor '{name}' contradict themselves")
    if float(channels[0].min()) != low or float(channels[1].max()) != high or np.any(channels[0] > channels[1]):
        raise StatisticsError(f"the channels of tensor '{name}' do not have the tensor's minimum and maximum")
    if not isinstance(exponent, int) or not isinstance(first, int) or not well_formed(exponent, first, counts):
        raise StatisticsError(f"the histogram of tensor '{name}' is damaged")
    means = _means(entry.get("channel_means"), name, len(channels[0]))
    whole = Observed(low, high, Histogram(exponent, first, counts))
    return name, TensorStatistics(whole, channels[0], channels[1], means)


def _means(value: Any, name: str, channels: int) -> ExactSum:
    rows: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise StatisticsError(f"the channel_means of tensor '{name}' are damaged")
    parts = {row[0]: _array(row[1], "channel_means", name, "<i8") for row in rows}
    if len(parts) != len(rows) or not exact.well_formed(parts, channels):
        raise StatisticsError(f"the channel_means of tensor '{name}' are damaged")
    return ExactSum(parts)


def _finite(entry: dict[str, Any], key: str) -> float:
    value = entry.get(key)
    if not isinstance(value, float) or not math.isfinite(value):
        raise StatisticsError(f"the {key} of tensor '{entry['name']}' is not a finite number: {value!r}")
    return value


def _array(content: Any, key: str, name: str, dtype: str) -> Array:
    if not isinstance(content, bytes) or len(content) % np.dtype(dtype).itemsize:
        raise StatisticsError(f"the {key} of tensor '{name}' is damaged")
    return np.frombuffer(content, dtype).astype(np.dtype(dtype).newbyteorder("="))
