"""What is odd about a set of samples, counted over the whole set: one warning a kind, with numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from axbuild.errors import AxNote, AxWarning, counted
from axbuild.toolchain.graph import Array

LEVELS = 256
FEW_LEVELS = 16
"""a set of pictures that uses so few of 256 values was scaled before it was saved, or is none"""
FAR = 300.0
"""what pixels less their mean, in units of a standard deviation of at least one pixel, never reach"""


@dataclass
class Survey:
    """Folds the samples of one set.

    mean, std: a value a channel, empty where nothing is normalised. alone: whether the model takes in nothing else; of
    several inputs one may well be the same in all samples, as a mask is.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    alone: bool = True
    names: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    twins: list[tuple[str, str]] = field(default_factory=list)
    converted: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """conversion -> the first sample that needed it"""
    _digests: dict[bytes, str] = field(default_factory=dict)
    _pixels: Array | None = None
    """int64 [channels, 256]: how often each value stands in each channel"""

    def see(self, name: str, sample: Array, conversions: tuple[str, ...] = ()) -> None:
        self.names.append(name)
        if sample.size > 1 and (sample == sample.flat[0]).all():
            self.constant.append(name)
        digest = hashlib.sha256(repr((sample.shape, str(sample.dtype))).encode() + sample.tobytes()).digest()
        if digest in self._digests:
            self.twins.append((name, self._digests[digest]))
        self._digests.setdefault(digest, name)
        for one in conversions:
            self.converted[one] += 1
            self.first.setdefault(one, name)
        if sample.dtype == np.uint8 and sample.ndim == 3:
            counts = np.stack(
                [np.bincount(channel.reshape(-1), minlength=LEVELS) for channel in np.moveaxis(sample, 2, 0)]
            )
            self._pixels = counts if self._pixels is None else self._pixels + counts

    def told(self, size: int) -> Iterator[AxWarning]:
        """size: how many samples were asked for, -1 for all."""
        count = len(self.names)
        if size > count:
            yield AxWarning("AX337", f"the set has {counted(count, 'sample')}, fewer than size = {size}")
        if self.twins and self.alone:
            name, other = self.twins[0]
            repeat = "repeats" if len(self.twins) == 1 else "repeat"
            found = f"{len(self.twins)} of {counted(count, 'sample')} {repeat} another one"
            yield AxWarning("AX338", f"{found}, such as '{name}' and '{other}'")
        if self.constant and self.alone:
            hold = "holds" if len(self.constant) == 1 else "hold"
            found = f"{len(self.constant)} of {counted(count, 'sample')} {hold} one value only"
            yield AxWarning("AX339", f"{found}, such as '{self.constant[0]}'")
        if self.converted:
            parts = [f"{number} {what}" for what, number in sorted(self.converted.items())]
            such = next(iter(self.first.values()))
            yield AxWarning("AX340", f"of {counted(count, 'picture')} {', '.join(parts)}, such as '{such}'")
        if self._pixels is not None:
            yield from self._values(self._pixels)

    def _values(self, pixels: Array) -> Iterator[AxWarning]:
        used = int((pixels.sum(axis=0) > 0).sum())
        if used < FEW_LEVELS and len(self.constant) < len(self.names):
            yield AxWarning(
                "AX341", f"the pictures use {used} of {LEVELS} values; were they scaled before they were saved?"
            )
        lows, highs, means = self._behind_normalisation(pixels)
        channels = ", ".join(
            f"{low:.4g} to {high:.4g} (mean {mean:.4g})" for low, high, mean in zip(lows, highs, means, strict=True)
        )
        if self.mean or self.std:
            in_units_of_one = any(self.mean) and max(self.mean) <= 1.0
            if in_units_of_one or max(abs(lows).max(), abs(highs).max()) > FAR:
                sentence = f"behind mean and std the channels hold {channels}; both are in units of pixels, 0 to 255"
                yield AxWarning("AX342", sentence)
        yield AxNote(f"{counted(len(self.names), 'sample')}; behind mean and std the channels hold {channels}")

    def _behind_normalisation(self, pixels: Array) -> tuple[Array, Array, Array]:
        """Lowest, highest and mean value of each channel."""
        values = np.arange(LEVELS)
        seen = pixels > 0
        lows, highs = seen.argmax(axis=1), LEVELS - 1 - seen[:, ::-1].argmax(axis=1)
        means = (pixels * values).sum(axis=1) / pixels.sum(axis=1)
        mean, std = np.array(self.mean or (0.0,)), np.array(self.std or (1.0,))
        return (lows - mean) / std, (highs - mean) / std, (means - mean) / std
