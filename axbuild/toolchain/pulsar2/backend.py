"""A quantised model compiled for one chip by the ordinary stages, wholly for its NPU: what `NPUBackend` simulates."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from axbuild.errors import AxError, AxWarning, counted
from axbuild.progress import tell
from axbuild.toolchain.axmodel.fuse import FuseParams, join
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.chips.table import ChipFile
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.floats import LeftOutError
from axbuild.toolchain.npu.plan.outlined import outlined
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.quantised import PlanError
from axbuild.toolchain.npu.plan.record import NPU, Partition

MODE = "NPU1"
_REFERENCE = "--mode Reference runs them too"


class BackendError(AxError):
    """AX574: a quantised model that the back end cannot run alone."""

    code = "AX574"


def compiled(model: Path, chip: ChipFile) -> bytes:
    """The compiled model of one batch, its inputs those of the quantised model. Raises BackendError where a node would
    run on the CPU, or the model does not say what its operators are; ChipError; and what the stages raise."""
    preset = chip.preset(MODE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floats = _floats(model, folder / "outline")
        with warnings.catch_warnings(category=AxWarning, action="ignore"):
            try:
                partition(model, floats, folder, params=PartitionParams(chip.support_in(MODE), ()))
            except LeftOutError as error:
                raise BackendError(error.sentence, hint=_REFERENCE) from error
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


def _floats(model: Path, folder: Path) -> Path:
    """The float operators of a quantised model, in a new folder; raises BackendError."""
    try:
        return outlined(model, folder)
    except PlanError as error:
        sentence = f"NPUBackend cannot place the operators of {model.name}: {error.sentence}"
        raise BackendError(sentence, hint="quantise the float model again") from error


def _require_no_cpu(planned: Partition) -> None:
    if planned.on_cpu:
        listed = "; ".join(map(str, planned.on_cpu))
        raise BackendError(
            f"NPUBackend runs on the NPU alone, and {counted(len(planned.on_cpu), 'node')} would run on the CPU of "
            f"{planned.chip}: {listed}",
            hint=_REFERENCE,
        )
