"""A quantised model compiled for one chip by the ordinary stages, wholly for its NPU: what `NPUBackend` simulates."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from axbuild.errors import AxError, AxWarning, counted
from axbuild.progress import tell
from axbuild.toolchain.axmodel.fuse import FuseParams, join
from axbuild.toolchain.graph import MODEL_FILE
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.chips.table import ChipFile
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import NPU, Partition

MODE = "NPU1"
FRONTEND = "frontend"
"""the folder beside that of the quantised model in which a build leaves the float model behind it"""


class BackendError(AxError):
    """AX574: a quantised model that the back end cannot run alone."""

    code = "AX574"


def compiled(model: Path, chip: ChipFile) -> bytes:
    """The compiled model of one batch, its inputs those of the quantised model. Raises BackendError where a node would
    run on the CPU, or the float model is not found; ChipError; and what the stages raise."""
    preset = chip.preset(MODE)
    floats = float_model(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with warnings.catch_warnings(category=AxWarning, action="ignore"):
            partition(model, floats, folder, params=PartitionParams(chip.support_in(MODE), ()))
            planned = Partition.read(folder / "partition")
            _require_no_cpu(planned)
            subgraphs = planned.at(NPU)
            for number, subgraph in enumerate(subgraphs):
                tell("Building native", number, len(subgraphs))
                programs = folder / "programs" / subgraph.name / "b1"
                programs.mkdir(parents=True)
                compile_subgraph(folder / "partition" / subgraph.file, programs, params=CompileParams(preset))
            tell("Building native", len(subgraphs), len(subgraphs))
            nameplate = Nameplate(chip.name, chip.container, MODE)
            join([folder / "partition"], [folder / "programs"], folder, params=FuseParams(nameplate))
        return (folder / "compiled.axmodel").read_bytes()


def float_model(model: Path) -> Path:
    """The folder of the float model that a build wrote with a quantised one; raises BackendError."""
    places = [model.resolve().parent.parent / FRONTEND, model.resolve().parent / FRONTEND]
    for place in places:
        if (place / MODEL_FILE).is_file():
            return place
    raise BackendError(
        f"NPUBackend places operators by the float model that {model.name} came from, and there is no "
        f"{places[0] / MODEL_FILE}",
        hint="a build writes quant/ and frontend/ beside each other: run the model where it was built",
    )


def _require_no_cpu(planned: Partition) -> None:
    if planned.on_cpu:
        listed = "; ".join(map(str, planned.on_cpu))
        raise BackendError(
            f"NPUBackend runs on the NPU alone, and {counted(len(planned.on_cpu), 'node')} would run on the CPU of "
            f"{planned.chip}: {listed}",
            hint="--mode Reference runs them too",
        )
