"""Stage: a compiled model on the simulated NPU, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, source_input
from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class SimulateParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


def simulate(axmodel: Path, samples: list[Path], out: Path, *, params: SimulateParams) -> None:
    """`samples`: `samples/` trees, paired by file name. Writes outputs/<sample>/<tensor>.npy.

    As many samples run at once as all compiled batches together hold, so that the program of each takes part.
    """
    session = InferenceSession(axmodel.read_bytes())
    tensors = session.source.inputs
    chosen = bind(params.inputs, [tensor.name for tensor in tensors])
    folder = out / "outputs"
    folder.mkdir()
    rows = paired(samples)
    together = sum(session.source.batches())
    for start in range(0, len(rows), together):
        chunk = rows[start : start + together]
        feed = {
            tensor.name: np.concatenate(
                [source_input(load_sample(files[index]), data, tensor.dtype, tensor.layout) for _, files in chunk]
            )
            for tensor, (data, index) in zip(tensors, chosen, strict=True)
        }
        results = dict(zip((item.name for item in session.get_outputs()), session.run(None, feed), strict=True))
        for number, (name, _) in enumerate(chunk):
            outputs.save(folder, name, {key: _one(array, number, len(chunk)) for key, array in results.items()})


def _one(array: Array, number: int, count: int) -> Array:
    """The part of a batch's output that belongs to one of its samples."""
    rows = array.shape[0] // count
    return array[number * rows : (number + 1) * rows]
