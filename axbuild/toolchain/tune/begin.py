"""Stage: the samples as the first block reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.tune.boundary import Boundary


@dataclass(frozen=True)
class BeginParams:
    """inputs: how the samples of each folder become a tensor, as observation has it."""

    inputs: tuple[InputData, ...]


def begin(model: Path, samples: list[Path], out: Path, *, params: BeginParams) -> None:
    """Write `boundary/` of the model's inputs; samples[i] is the folder for params.inputs[i]."""
    graph = onnx.load(model_file(model), load_external_data=False).graph
    sources = bind(params.inputs, [port.name for port in graph.input])
    rows = [[load_sample(file) for file in files] for _, files in paired(samples, params.inputs)]
    held = {data.name: np.stack([tensor_input(row[place], data) for row in rows]) for data, place in sources}
    Boundary(held, held).write(out / "boundary")
