"""The outputs of a quantised model beside the float one's, on a few samples: how far off it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from axbuild.progress import tell
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import Array, model_file
from axbuild.toolchain.likeness import cosine_from
from axbuild.toolchain.precision.feeds import some
from axbuild.toolchain.precision.outputs import judged
from axbuild.toolchain.precision.side import Side, Tensors

SAMPLES = 16
"""that a model is tried on"""


@dataclass(frozen=True)
class Tried:
    """Of each output, on each sample: [samples, outputs] sums of x x, x e and e e, where e is the error of x."""

    signal: Array
    crossed: Array
    noise: Array

    def shares(self) -> list[float]:
        """Noise over signal of each output, all samples together."""
        return [n / s if s else n for n, s in zip(self._total(self.noise), self._total(self.signal), strict=True)]

    @staticmethod
    def _total(sums: Array) -> list[float]:
        return [float(value) for value in sums.sum(axis=0)]

    def cosines(self) -> list[float]:
        """The lowest of each output."""
        both = self.signal + 2 * self.crossed + self.noise
        rows = zip(self.signal.T, both.T, (self.signal + self.crossed).T, strict=True)
        return [min(cosine_from(*map(float, one)) for one in zip(*row, strict=True)) for row in rows]

    def worst(self, count: int) -> list[int]:
        """The samples that are farthest off, in their order."""
        return sorted(np.argsort(-self.noise.sum(axis=1), kind="stable")[:count].tolist())


class Bench:
    """The samples and what the float model makes of them."""

    def __init__(self, model: Path, samples: list[Path], inputs: tuple[InputData, ...]) -> None:
        file = model_file(model)
        proto = onnx.load(file, load_external_data=False)
        self.outputs = judged(proto.graph)
        self.feeds = some(samples, inputs, [info.name for info in proto.graph.input], SAMPLES)
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

    def _sums(self, expected: Tensors, found: Tensors) -> Sequence[Sequence[float]]:
        return [_sums(expected[name], found[name]) for name in self.outputs]


def _sums(exact: Array, coded: Array) -> tuple[float, float, float]:
    x = exact.astype(np.float64).reshape(-1)
    if exact.shape != coded.shape:  # its size follows from data: nothing of it is right
        return float(x @ x), -float(x @ x), float(x @ x)
    e = coded.astype(np.float64).reshape(-1) - x
    return float(x @ x), float(x @ e), float(e @ e)
