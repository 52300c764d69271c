"""The outputs of a quantised model beside the float one's, on a few samples: how far off it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from axbuild.progress import tell
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import Array, model_file
from axbuild.toolchain.likeness import cosine_from
from axbuild.toolchain.precision.feeds import feeds, some
from axbuild.toolchain.precision.outputs import judged
from axbuild.toolchain.precision.side import Side, Tensors

SAMPLES = 32
"""that a model is tried on"""
MARGIN = 2.0
"""standard errors: what other samples of the same kind exceed once in forty times"""


@dataclass(frozen=True)
class Tried:
    """Of each output, on each sample: [samples, outputs] sums of x x, x e and e e, where e is the error of x."""

    signal: Array
    crossed: Array
    noise: Array

    def shares(self) -> list[float]:
        """Noise over signal of each output, all samples together."""
        return [n / s if s else n for n, s in zip(self._total(self.noise), self._total(self.signal), strict=True)]

    def halves(self) -> tuple[Tried, Tried]:
        """Every other sample, to choose by, and the rest, to verify; of one sample both are it."""
        places = range(len(self.noise))
        return self._of(places[::2]), self._of(places[1::2] or places)

    def _of(self, places: Sequence[int]) -> Tried:
        rows = list(places)
        return Tried(self.signal[rows], self.crossed[rows], self.noise[rows])

    def safe_shares(self) -> list[float]:
        """The same and MARGIN standard errors of a ratio of sums (Cochran, Sampling Techniques, 2.11)."""
        count, shares = len(self.noise), self.shares()
        if count < 2:
            return shares
        spread = ((self.noise - np.array(shares) * self.signal) ** 2).sum(axis=0) * count / (count - 1)
        errors = np.sqrt(spread) / np.where(self.signal.any(axis=0), self.signal.sum(axis=0), 1.0)
        return [share + MARGIN * float(error) for share, error in zip(shares, errors, strict=True)]

    @staticmethod
    def _total(sums: Array) -> list[float]:
        return [float(value) for value in sums.sum(axis=0)]

    def cosines(self) -> list[float]:
        """The lowest of each output."""
        return [min(row) for row in self._cosines()]

    def safe_cosines(self) -> list[float]:
        """The same, or what lies MARGIN standard deviations from the mean, where that is lower."""
        rows = self._cosines()
        return [min(*row, float(np.mean(row) - MARGIN * np.std(row))) for row in rows]

    def _cosines(self) -> list[list[float]]:
        """Of each output, on each sample."""
        both = self.signal + 2 * self.crossed + self.noise
        rows = zip(self.signal.T, both.T, (self.signal + self.crossed).T, strict=True)
        return [[cosine_from(*map(float, one)) for one in zip(*row, strict=True)] for row in rows]

    def worst(self, count: int) -> list[int]:
        """The samples that are farthest off, in their order."""
        return sorted(np.argsort(-self.noise.sum(axis=1), kind="stable")[:count].tolist())


class Bench:
    """The samples and what the float model makes of them."""

    def __init__(self, model: Path, samples: list[Path], inputs: tuple[InputData, ...]) -> None:
        file = model_file(model)
        proto = onnx.load(file, load_external_data=False)
        self.outputs = judged(proto.graph)
        self.names, self.samples, self.inputs = [info.name for info in proto.graph.input], samples, inputs
        self.feeds = some(samples, inputs, self.names, SAMPLES)
        side = Side("float", proto.SerializeToString(), "basic", file.parent)
        self.expected = [side.run(self.outputs, feed) for feed in self.feeds]

    def tried(self, quantised: onnx.ModelProto) -> Tried:
        side = Side("quantised", quantised.SerializeToString(), "off")
        rows = []
        for number, (feed, x) in enumerate(zip(self.feeds, self.expected, strict=True), 1):
            tell("sample of a trial", number, len(self.feeds))
            rows.append(self._sums(x, side.run(self.outputs, feed)))
        signal, crossed, noise = np.array(rows).reshape(len(rows), len(self.outputs), 3).transpose(2, 0, 1)
        return Tried(signal, crossed, noise)

    def answers(self, quantised: onnx.ModelProto) -> Iterator[tuple[str, Tensors]]:
        """(sample, outputs) of every sample."""
        side = Side("quantised", quantised.SerializeToString(), "off")
        for sample, feed in feeds(self.names, self.samples, self.inputs):
            yield sample, side.run(self.outputs, feed)

    def _sums(self, expected: Tensors, found: Tensors) -> Sequence[Sequence[float]]:
        return [_sums(expected[name], found[name]) for name in self.outputs]


def _sums(exact: Array, coded: Array) -> tuple[float, float, float]:
    x = exact.astype(np.float64).reshape(-1)
    if exact.shape != coded.shape:  # its size follows from data: nothing of it is right
        return float(x @ x), -float(x @ x), float(x @ x)
    e = coded.astype(np.float64).reshape(-1) - x
    return float(x @ x), float(x @ e), float(e @ e)
