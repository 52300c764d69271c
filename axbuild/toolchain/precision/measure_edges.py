"""Stage: every edge of the quantised model beside the float tensor that it stands for, on some samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.precision.edges import EdgeMeter, ExposedModels
from axbuild.toolchain.precision.feeds import feeds, first
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.refused import refused_sample


@dataclass(frozen=True)
class MeasureEdgesParams:
    """inputs[i] says what the i-th tree of samples is; size: how many samples are compared, the first ones by name, -1
    for all."""

    inputs: tuple[InputData, ...]
    size: int


def measure_edges(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: MeasureEdgesParams) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes edges.json, of the first `size` samples."""
    models = ExposedModels(model, onnx.load(quantised))
    meter = EdgeMeter(models)
    for sample, feed in first(params.size, feeds(models.inputs, samples, params.inputs)):
        with refused_sample(sample):
            meter.add(feed)
    MeasuredEdges(meter.samples, meter.rows()).write(out)
