"""How fast quantised networks are analysed layer by layer: python benchmarks/analysis.py FOLDER [--models NAMES]

FOLDER as benchmarks/quant.py takes it. Each network is quantised by Auto, and the two stages that only a
precision_report has are run on the first 8 calibration samples, each in a process of its own on one thread that has
imported it: CPU seconds, medians of --runs. `measure_edges` compares every edge in the whole model and by its layer
alone, on all 8; `effects` carries the error of every layer to the outputs, all on one sample, the worst on three more.
`x float pass` is `measure_edges` over onnxruntime's float pass over the same samples. --write FILE puts the table
between FILE's marks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import quant
from tables import markdown, put_into

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.precision.effects import EffectsParams, effects
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from axbuild.toolchain.precision.measured_edges import MeasuredEdges
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize

SAMPLES = 8
HEADS = ("network", "edges", "float pass s", "measure_edges s", "x float pass", "effects s", "both s", "MiB")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(quant.MODELS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    rows = []
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            rows.append(measured(options.folder, name, options.runs, Path(work)))
            print(json.dumps(dict(zip(HEADS, rows[-1], strict=True))), flush=True)
    table = markdown(HEADS, rows)
    print(table)
    if options.write:
        put_into(options.write, "analysis.py", table)
    return 0


def measured(folder: Path, name: str, runs: int, work: Path) -> list[Any]:
    with np.load(folder / "data" / f"{name}.npz", allow_pickle=False) as data:
        calibration = data["calib"]
    samples, few = work / "samples", work / "few"
    for place, count in ((samples, len(calibration)), (few, SAMPLES)):
        place.mkdir()
        for number, sample in enumerate(calibration[:count]):
            np.save(place / f"{number:03}.npy", sample[np.newaxis])
    (work / "source").mkdir()
    (work / "source" / "model.onnx").write_bytes((folder / "models" / f"{name}.onnx").read_bytes())
    port = quant.input_of(work / "source" / "model.onnx")
    shapes = {port: (1, *calibration.shape[1:])}
    quant.alone(lambda: optimize(work / "source", work, params=OptimizeParams(input_shapes=shapes)))
    optimised = work / "optimized"
    for stage in quant.data_stages(optimised, samples, work, port).values():
        quant.alone(stage)
    quant.alone(lambda: calibrate(optimised, work / "statistics.msgpack", work, params=CalibrateParams("Auto")))
    quant.alone(lambda: quantize(optimised, work / "scheme.msgpack", work, params=QuantizeParams()))
    model, inputs = work / "quant_axmodel.onnx", (InputData(port, "Numpy"),)
    plain = quant.averaged(lambda: quant.float_pass(optimised, port, calibration[:SAMPLES]), runs)
    edges = quant.averaged(
        lambda: measure_edges(optimised, model, [few], work, params=MeasureEdgesParams(inputs, SAMPLES)), runs
    )
    spread = quant.averaged(lambda: effects(optimised, model, [few], work, params=EffectsParams(inputs)), runs)
    return [
        name,
        len(MeasuredEdges.read(work / "edges.json").edges),
        round(plain.seconds, 2),
        round(edges.seconds, 2),
        round(edges.seconds / plain.seconds, 1),
        round(spread.seconds, 2),
        round(edges.seconds + spread.seconds, 2),
        round(max(edges.mebibytes, spread.mebibytes)),
    ]


if __name__ == "__main__":
    sys.exit(main())
