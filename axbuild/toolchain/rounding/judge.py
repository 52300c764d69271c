"""How far the outputs of quantised models are from the float model's, by exact integers on calibration samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.graph import Array
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.boundary import Tensors

SAMPLES = 32
"""at most, spread over all"""
CLEARLY = 0.8
"""of an error, what it has to fall to before a choice is made by it, 1 dB: halves of the samples differ by more"""


def spread_samples(ports: list[str], samples: list[Path], inputs: tuple[InputData, ...]) -> list[Tensors]:
    """What the model's inputs take of each."""
    files = [found for _, found in paired(samples, inputs)]
    chosen = bind(inputs, ports)
    places = np.linspace(0, len(files) - 1, min(SAMPLES, len(files))).astype(int)
    return [feed_of(files[place], chosen) for place in places]


class OutputJudge:
    """The samples, and what the float model makes of them."""

    def __init__(self, file: Path, feeds: Sequence[Tensors]) -> None:
        self.graph, self.feeds = ir.load(file).graph, feeds
        session = ort.open_session(file)
        self.expected = [run(session, feed) for feed in feeds]

    def error(self, scheme: Scheme) -> float:
        """Noise over signal, a sum over the outputs that are reals."""
        session = ort.open_session(model_with(self.graph, lowered(self.graph, scheme)).SerializeToString())
        found = []
        for number, feed in enumerate(self.feeds, 1):
            tell("sample of a trial", number, len(self.feeds))
            found.append(run(session, feed))
        names = [name for name, array in self.expected[0].items() if array.dtype.kind == "f"]
        return sum(_share([row[name] for row in self.expected], [row[name] for row in found]) for name in names)


def run(session: Any, row: Tensors) -> Tensors:
    """Every output."""
    names = [port.name for port in session.get_outputs()]
    feed = {port.name: row[port.name] for port in session.get_inputs()}
    return dict(zip(names, session.run(names, feed), strict=True))


def _share(expected: Sequence[Array], found: Sequence[Array]) -> float:
    signal = sum(map(_energy, expected))
    noise = sum(_noise(a, b) for a, b in zip(expected, found, strict=True))
    return noise / signal if signal else noise


def _noise(expected: Array, found: Array) -> float:
    """Where its size follows from data and is another one, nothing of it is right."""
    return _energy(found.astype(np.float64) - expected if found.shape == expected.shape else expected)


def _energy(array: Array) -> float:
    return float(np.sum(array.astype(np.float64) ** 2))
