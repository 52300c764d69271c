"""Stage: what the blocks of EasyQuant read, by the float model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.tune.boundary import write_tensors
from axbuild.toolchain.tune.floats import float_tensors
from axbuild.toolchain.tune.plan import MODEL, PLAN, read_plan

SEARCHED = 16
"""samples at most that the search looks at, spread over all"""


@dataclass(frozen=True)
class RecordParams:
    """inputs: as observation has them."""

    inputs: tuple[InputData, ...]


def record(model: Path, blocks: Path, samples: list[Path], out: Path, *, params: RecordParams) -> None:
    """Write `tensors/<i>/` for block i: the tensors that it reads, the samples stacked."""
    count = len(read_plan(blocks / PLAN))
    read = [_inputs(blocks / str(number) / MODEL) for number in range(count)]
    names = tuple(dict.fromkeys(name for block in read for name in block))
    held = float_tensors(model_file(model), names, samples, params.inputs, SEARCHED)
    (out / "tensors").mkdir()
    for number, block in enumerate(read):
        write_tensors({name: held[name] for name in block}, out / "tensors" / str(number))


def _inputs(block: Path) -> list[str]:
    return [port.name for port in onnx.load(block, load_external_data=False).graph.input]
