"""What auto_precision finds on transformers: python benchmarks/auto_precision.py FOLDER --models NAMES --decibels N

FOLDER as for `transformers.py`. Prints what the stage says, and of the model that it chose the SQNR over the evaluated
samples, which calibrated nothing and chose nothing, and the compiled program's estimated cycles.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from transformers import CHIP, Model, cycles

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.likeness import snr_db, sums_of
from axbuild.toolchain.precision.raise_precision import RULES, RaiseParams, raise_precision
from axbuild.toolchain.precision.sense import SenseParams, sense
from axbuild.toolchain.precision.target import PrecisionTarget
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize

WIDE = LayerConfig(start_tensor_names=("DEFAULT",), end_tensor_names=("DEFAULT",), data_type="U16")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="minilm")
    parser.add_argument("--decibels", type=float, default=30.0)
    parser.add_argument("--method", default="MinMax")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            model = Model.of(options.folder / name, Path(work))
            chosen(model, CalibrateParams(options.method), options.decibels)
    return 0


def chosen(model: Model, params: CalibrateParams, decibels: float) -> None:
    work, statistics = model.work, model.work / "statistics.msgpack"
    (wide := work / "wide").mkdir()
    (out := work / "out").mkdir()
    calibrate(model.optimised, statistics, work, params=params)
    calibrate(model.optimised, statistics, wide, params=CalibrateParams(params.method, (WIDE,)))
    schemes = work / "scheme.msgpack", wide / "scheme.msgpack"
    sense(model.optimised, *schemes, model.samples, work, params=SenseParams(model.inputs))
    goal = RaiseParams(params, PrecisionTarget(min_snr_db=decibels), CHIP.preset("NPU1"), model.inputs)
    sources = work / "sources.json"
    raise_precision(model.optimised, statistics, schemes[0], sources, model.samples, [], out, params=goal)
    print((out / RULES).read_text().splitlines()[0])
    quantize(model.optimised, out / "scheme.msgpack", out, params=QuantizeParams())
    exact, found = (model.outputs(file) for file in (model_file(model.optimised), out / "quant_axmodel.onnx"))
    sums = [one for a, b in zip(exact, found, strict=True) if (one := sums_of(a, b)) is not None]
    noise = round(snr_db(sum(one.aa for one in sums), sum(one.dd for one in sums)), 2)
    row = {"model": model.name, "asked_db": decibels, "held_out_db": noise, "cycles": cycles(model.optimised, out)}
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    sys.exit(main())
