"""Stage: the tuned blocks put into the scheme, where the whole model is nearer to the float one for it; and the log."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxWarning
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.boundary import Boundary
from axbuild.toolchain.tune.log import head, told, write_log
from axbuild.toolchain.tune.passes import coded_outputs, decibels, error_of, float_outputs, reals_of
from axbuild.toolchain.tune.plan import PLAN, REPORT, SCHEME, read_plan
from axbuild.toolchain.tune.rebake import together
from axbuild.toolchain.tune.report import Outcome

TITLES = {"adaround": "Adaround", "lsq": "LSQ", "brecq": "BRECQ"}


@dataclass(frozen=True)
class FinishParams:
    """As in TuneParams, for the log; device: its kind."""

    method: str
    steps: int
    batch: int
    rate: float
    device: str


def finish(
    model: Path, scheme: Path, blocks: Path, tuned: Path, begin: Path, out: Path, *, params: FinishParams
) -> None:
    """tuned: <i>/scheme.msgpack and <i>/report.json of block i; begin: the model's inputs. Writes `scheme.msgpack` and
    `finetune.log`."""
    start, plan = Scheme.read(scheme), read_plan(blocks / PLAN)
    numbers = [number for number, block in enumerate(plan) if block.tuned]
    found = together(start, [Scheme.read(tuned / str(number) / SCHEME) for number in numbers])
    outcomes = {number: Outcome.read(tuned / str(number) / REPORT) for number in numbers}
    before, after = _errors(model, Boundary.read(begin), (start, found))
    write_log(out / "finetune.log", _head(params, len(numbers)), told(plan, outcomes), before, after)
    if after > before:
        warnings.warn(AxWarning("AX372", _worse(before, after)), stacklevel=1)
    (start if after > before else found).write(out / "scheme.msgpack")


def _errors(model: Path, begin: Boundary, schemes: tuple[Scheme, Scheme]) -> tuple[float, float]:
    """Noise over signal of the whole model's outputs, by its exact integers, with each scheme."""
    target = reals_of(float_outputs(model_file(model), begin.float))
    graph = ir.load(model_file(model)).graph
    first, second = (error_of(target, coded_outputs(graph, scheme, begin.coded)) for scheme in schemes)
    return first, second


def _head(params: FinishParams, blocks: int) -> list[str]:
    rows = {
        "Is Scale Trainable": params.method != "adaround",
        "Interested Layers": [],
        "Collecting Device": params.device,
        "Num of blocks": blocks,
        "Learning Rate": params.rate,
        "Steps": params.steps,
        "Batch Size": params.batch,
    }
    return head(f"AX {TITLES[params.method]} Reconstruction Running ...", rows)


def _worse(before: float, after: float) -> str:
    return (
        f"the blocks came nearer to the float model and the whole did not: its outputs went from {decibels(before)} "
        f"to {decibels(after)} on the calibration samples, so the weights are left as they were; more samples help"
    )
