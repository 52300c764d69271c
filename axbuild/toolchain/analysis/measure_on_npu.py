"""Stage: every edge of the quantised model as the simulated NPU makes it, beside the float tensor it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from axbuild.toolchain.analysis.rows import PER_LAYER
from axbuild.toolchain.analysis.take_apart import in_floats
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.kinds.codes import FP32
from axbuild.toolchain.npu.plan.postprocess import own_output
from axbuild.toolchain.precision.edges import EdgeMeter, ExposedModels
from axbuild.toolchain.precision.feeds import feeds, first
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams
from axbuild.toolchain.precision.measured_edges import MeasuredEdges


@dataclass(frozen=True)
class MeasureOnNpuParams(MeasureEdgesParams):
    """method: of the run that `made` is of, PerLayer (apart.onnx, compiled) or EndToEnd (the compiled model)."""

    method: str


def measure_on_npu(
    model: Path, quantised: Path, samples: list[Path], made: Path, out: Path, *, params: MeasureOnNpuParams
) -> None:
    """model, quantised, samples: as in `measure_edges`; made: outputs/<sample>.npz of the simulator. Writes edges.json
    with errors in the one form that was run."""
    models = ExposedModels(model, onnx.load(quantised))
    meter = EdgeMeter(models)
    apart = in_floats(models).outputs if params.method == PER_LAYER else {}
    for sample, feed in first(params.size, feeds(models.inputs, samples, params.inputs)):
        exact, found = models.float_values(feed), outputs.load(made, sample)
        meter.begin(exact)
        if apart:
            reals = {name: found[own] for name, own in apart.items()}
            meter.compare(exact, reals, meter.local, dict.fromkeys(reals, FP32))
        else:
            codes = {name: found[name if own_output(name) not in found else own_output(name)] for name in models.edges}
            meter.compare(exact, codes, meter.accumulated)
    MeasuredEdges(meter.samples, meter.rows()).write(out)
