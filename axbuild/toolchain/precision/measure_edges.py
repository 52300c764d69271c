"""Stage: every edge of the quantised model beside the float tensor that it stands for, on some samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import onnx

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.precision.edges import EdgeMeter, ExposedModels
from axbuild.toolchain.precision.feeds import feeds
from axbuild.toolchain.precision.measured_edges import MeasuredEdges

SAMPLES = 8
"""An edge has many values a sample"""


@dataclass(frozen=True)
class MeasureEdgesParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


def measure_edges(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: MeasureEdgesParams) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes edges.json, of the first SAMPLES samples."""
    models = ExposedModels(model, onnx.load(quantised))
    meter = EdgeMeter(models)
    for _, feed in islice(feeds(models.inputs, samples, params.inputs), SAMPLES):
        meter.add(feed)
    MeasuredEdges(meter.samples, meter.rows()).write(out)
