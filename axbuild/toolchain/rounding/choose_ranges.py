"""Stage: calibration by Auto, where how much what is cut off counts is chosen by what it does to the model's outputs.

The error that a grid is expected to add says which range suits a tensor, but for one number: what a value that is cut
off costs beside one that is rounded. That hangs on what stands behind: sums over many neighbours average rounding out,
and an even background rounds to one side everywhere. So a few such numbers are tried on the whole model.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxNote
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated, settled
from axbuild.toolchain.quant.calibrators import CUTTING, expected_damage
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.rounding.judge import CLEARLY, OutputJudge, spread_samples
from axbuild.toolchain.tune.passes import decibels

CUTTINGS = (CUTTING, 1.0, 2.0, 8.0)
"""tried; the first stands where none is clearly better"""
JUDGING = 4
"""of the samples every fourth one judges"""


@dataclass(frozen=True)
class ChooseRangesParams:
    """inputs: as observation has them; calibration: everything else that calibration is told."""

    inputs: tuple[InputData, ...]
    calibration: CalibrateParams


def choose_ranges(model: Path, statistics: Path, samples: list[Path], out: Path, *, params: ChooseRangesParams) -> None:
    """Write `scheme.msgpack` as `calibrate` does, and raise what it raises."""
    file, known = model_file(model), Statistics.read(statistics)
    graph = ir.load(file).graph
    feeds = spread_samples([value.name or "" for value in graph.inputs], samples, params.inputs)
    judge = OutputJudge(file, feeds[::JUDGING])
    schemes = {cutting: calibrated(graph, known, params.calibration, expected_damage(cutting)) for cutting in CUTTINGS}
    errors = {cutting: judge.error(scheme) for cutting, scheme in schemes.items()}
    least = min(errors, key=lambda cutting: errors[cutting])
    best = least if errors[least] < CLEARLY * errors[CUTTING] else CUTTING
    tried = ", ".join(f"{cutting:g}: {decibels(error)}" for cutting, error in errors.items())
    warnings.warn(AxNote(f"what ranges cut off counts {best:g} times ({tried})"), stacklevel=1)
    settled(graph, known, schemes[best], out, params.calibration)
