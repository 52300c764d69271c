"""Stage: what the float model has where operators of the quantised model read, for each of them by itself."""

from __future__ import annotations

from pathlib import Path

import onnx

from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.feeds import feeds, first
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams


def float_values(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: MeasureEdgesParams) -> None:
    """model, quantised: as in `take_apart`. Writes boundaries/<sample>.npz by the names of the inputs that apart.onnx
    has."""
    models = ExposedModels(model, onnx.load(quantised))
    for sample, feed in first(params.size, feeds(models.inputs, samples, params.inputs)):
        exact = models.float_values(feed)
        given = {name: exact[tensor] for name, tensor in models.alone.inputs.items()}
        outputs.save(out / "boundaries", sample, given)
