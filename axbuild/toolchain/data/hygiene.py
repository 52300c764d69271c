"""What is odd about a set of samples, counted over the whole set: one warning a kind, with numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from axbuild.errors import AxError, AxNote, AxWarning, counted
from axbuild.toolchain.graph import Array

FORMAT = "axbuild-survey/1"
LEVELS = 256
FEW_LEVELS = 16
"""a set of pictures that uses so few of 256 values was scaled before it was saved, or is none"""
FAR = 300.0
"""what pixels less their mean, in units of a standard deviation of at least one pixel, never reach"""

MOSTLY = 0.9
"""share of padding above which rows are hardly filled"""


class SurveyError(AxError):
    """A survey that is damaged or of another format."""

    code = "AX343"


@dataclass
class Survey:
    """What is known of the samples of one set, or of some of them.

    alone: whether the model takes in nothing else; of several inputs one may well be the same in all samples, as a mask
    is. digests: sample -> SHA-256. constant: samples of one value. converted: conversion -> the samples that needed it.
    pixels: int64 [channels, 256], how often each value stands in each channel of pictures. whole: of arrays of whole
    numbers, input -> [lowest value, highest, how many values there are, how many are 0 at the end of a row].

    The file is `survey.json`: "format": "axbuild-survey/1", and the fields.
    """

    alone: bool = True
    digests: dict[str, str] = field(default_factory=dict)
    constant: list[str] = field(default_factory=list)
    converted: dict[str, list[str]] = field(default_factory=dict)
    pixels: Array | None = None
    whole: dict[str, list[int]] = field(default_factory=dict)

    def see(self, name: str, sample: Array, conversions: tuple[str, ...] = ()) -> None:
        if sample.size > 1 and (sample == sample.flat[0]).all():
            self.constant.append(name)
        form = repr((sample.shape, str(sample.dtype))).encode()
        self.digests[name] = hashlib.sha256(form + sample.tobytes()).hexdigest()
        for one in conversions:
            self.converted.setdefault(one, []).append(name)
        if sample.dtype == np.uint8 and sample.ndim == 3:
            self._count(
                np.stack([np.bincount(channel.reshape(-1), minlength=LEVELS) for channel in np.moveaxis(sample, 2, 0)])
            )

        for field_name in sample.dtype.names or ("",):
            part = sample[field_name] if field_name else sample
            if part.dtype in (np.int32, np.int64) and part.size:
                self._see_whole(field_name, [int(part.min()), int(part.max()), part.size, _padding(part)])

    def _see_whole(self, name: str, row: list[int]) -> None:
        low, high, count, padding = self.whole.get(name, [row[0], row[1], 0, 0])
        self.whole[name] = [min(low, row[0]), max(high, row[1]), count + row[2], padding + row[3]]

    def _count(self, pixels: Array) -> None:
        self.pixels = pixels if self.pixels is None else self.pixels + pixels

    @staticmethod
    def together(parts: Sequence[Survey]) -> Survey:
        """Of a whole set, from those of its shards: the same however it is parted."""
        whole = Survey(all(part.alone for part in parts))
        whole.digests = dict(sorted(item for part in parts for item in part.digests.items()))
        whole.constant = sorted(name for part in parts for name in part.constant)
        for part in parts:
            for what, names in part.converted.items():
                whole.converted[what] = sorted([*whole.converted.get(what, []), *names])
            if part.pixels is not None:
                whole._count(part.pixels)
            for name, row in part.whole.items():
                whole._see_whole(name, row)
        return whole

    def write(self, path: Path) -> None:
        pixels = None if self.pixels is None else self.pixels.tolist()
        content = {"format": FORMAT, **vars(self), "pixels": pixels}
        path.write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Survey:
        """Raises SurveyError."""
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != FORMAT:
                raise SurveyError(f"the survey of the samples is not of the format {FORMAT}")
            pixels = content.pop("pixels")
            return Survey(**content, pixels=None if pixels is None else np.array(pixels, np.int64))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SurveyError(f"the survey of the samples is damaged: {type(error).__name__}") from None

    def told(
        self, size: int, mean: tuple[float, ...], std: tuple[float, ...], for_input: str = ""
    ) -> Iterator[AxWarning]:
        """size: how many samples were asked for, -1 for all. mean, std: a value a channel, empty where nothing is
        normalised. for_input: whose the set is, "" of all inputs; said where the model has others."""
        lead = f"input '{for_input}': " if for_input and not self.alone else ""
        for one in self._told(size, mean, std):
            yield AxWarning(one.code, lead + one.sentence) if one.code else AxNote(lead + one.sentence)

    def _told(self, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Iterator[AxWarning]:
        count = len(self.digests)
        if size > count:
            yield AxWarning("AX337", f"the set has {counted(count, 'sample')}, fewer than size = {size}")
        twins = list(self._twins())
        if twins and self.alone:
            name, other = twins[0]
            repeat = "repeats" if len(twins) == 1 else "repeat"
            found = f"{len(twins)} of {counted(count, 'sample')} {repeat} another one"
            yield AxWarning("AX338", f"{found}, such as '{name}' and '{other}'")
        if self.constant and self.alone:
            hold = "holds" if len(self.constant) == 1 else "hold"
            found = f"{len(self.constant)} of {counted(count, 'sample')} {hold} one value only"
            yield AxWarning("AX339", f"{found}, such as '{self.constant[0]}'")
        if self.converted:
            parts = [f"{len(names)} {what}" for what, names in sorted(self.converted.items())]
            such = min(names[0] for names in self.converted.values())
            yield AxWarning("AX340", f"of {counted(count, 'picture')} {', '.join(parts)}, such as '{such}'")
        for name, row in sorted(self.whole.items()):
            yield self._of_whole(f"'{name}' holds" if name else "the arrays hold", *row)
        if self.pixels is not None:
            yield from self._values(Normalised(self.pixels, mean, std))

    def _of_whole(self, what: str, low: int, high: int, values: int, padding: int) -> AxWarning:
        if low == high:  # as the segments of one sentence: nothing is padded there
            return AxNote(f"{counted(len(self.digests), 'sample')}; {what} {low} and no other number")
        sentence = f"{what} whole numbers from {low} to {high}, {padding / values:.0%} of them zeros that fill up rows"
        if padding > MOSTLY * values:
            return AxWarning("AX388", f"{sentence}; the samples say little of longer rows")
        return AxNote(f"{counted(len(self.digests), 'sample')}; {sentence}")

    def _twins(self) -> Iterator[tuple[str, str]]:
        """(sample, the first one that is the same)."""
        first: dict[str, str] = {}
        for name, digest in self.digests.items():
            if first.setdefault(digest, name) != name:
                yield name, first[digest]

    def _values(self, seen: Normalised) -> Iterator[AxWarning]:
        used = int((seen.pixels.sum(axis=0) > 0).sum())
        if used < FEW_LEVELS and len(self.constant) < len(self.digests):
            yield AxWarning(
                "AX341", f"the pictures use {used} of {LEVELS} values; were they scaled before they were saved?"
            )
        lows, highs, means = seen.values()
        channels = ", ".join(
            f"{low:.4g} to {high:.4g} (mean {mean:.4g})" for low, high, mean in zip(lows, highs, means, strict=True)
        )
        if seen.mean or seen.std:
            in_units_of_one = any(seen.mean) and max(seen.mean) <= 1.0
            if in_units_of_one or max(abs(lows).max(), abs(highs).max()) > FAR:
                sentence = f"behind mean and std the channels hold {channels}; both are in units of pixels, 0 to 255"
                yield AxWarning("AX342", sentence)
        yield AxNote(f"{counted(len(self.digests), 'sample')}; behind mean and std the channels hold {channels}")


def _padding(values: Array) -> int:
    """How many zeros stand at the end of its rows."""
    rows = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    behind = np.logical_and.accumulate(rows[:, ::-1] == 0, axis=1)
    return int(behind.sum())


@dataclass(frozen=True)
class Normalised:
    """Pixels as `Survey` counts them, and what is done to them."""

    pixels: Array
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def values(self) -> tuple[Array, Array, Array]:
        """Lowest, highest and mean value of each channel."""
        values = np.arange(LEVELS)
        seen = self.pixels > 0
        lows, highs = seen.argmax(axis=1), LEVELS - 1 - seen[:, ::-1].argmax(axis=1)
        means = (self.pixels * values).sum(axis=1) / self.pixels.sum(axis=1)
        mean, std = np.array(self.mean or (0.0,)), np.array(self.std or (1.0,))
        return (lows - mean) / std, (highs - mean) / std, (means - mean) / std
