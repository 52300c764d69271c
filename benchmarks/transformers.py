"""What each transformer_opt_level and SmoothQuant give: python benchmarks/transformers.py FOLDER [--models NAMES]

FOLDER holds for each model NAME/model.onnx and, for each of its inputs, NAME/calibration/INPUT/*.npy and
NAME/evaluation/INPUT/*.npy. SQNR is 10 log10(signal / noise) of the first output over all evaluated samples, cosine the
lowest of a sample's, both of the bit-exact integer model against the float one. Cycles are the reference NPU's for one
sample on an AX650 core, by its own estimate. --write FILE puts the table between FILE's marks
`<!-- transformers.py -->` and `<!-- end of transformers.py -->`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from tables import markdown, put_into

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.likeness import snr_db, sums_of
from axbuild.toolchain.npu.chips.table import FOLDER, by_name, chips_of
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.watch import WatchParams, watch
from axbuild.toolchain.smooth.keep_pairs import KeepPairsParams, keep_pairs
from axbuild.toolchain.smooth.smooth import SmoothParams, smooth
from axbuild.workspace.tables import Tables

LEVELS = (0, 1, 2)
CHIP = by_name(chips_of(Tables(FOLDER).tables))["AX650"]
Array = np.ndarray[Any, np.dtype[Any]]
Feeds = dict[str, Array]


@dataclass(frozen=True)
class Row:
    """One way of quantising one model."""

    model: str
    method: str
    level: int
    smoothed: str
    sqnr_db: float
    cosine: float
    cycles: int


@dataclass(frozen=True)
class Model:
    """A model through the front end and observed. work: where its files stand."""

    name: str
    work: Path
    inputs: tuple[InputData, ...]
    samples: list[Path]
    evaluation: list[Feeds]

    @property
    def optimised(self) -> Path:
        return self.work / "optimized"

    @staticmethod
    def of(folder: Path, work: Path) -> Model:
        source = work / "source"
        source.mkdir()
        (source / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
        ports = [port.name for port in ort.open_session(source / "model.onnx").get_inputs()]
        shapes = {name: np.load(next((folder / "calibration" / name).iterdir())).shape for name in ports}
        optimize(source, work, params=OptimizeParams(input_shapes=shapes))
        names = [port.name for port in ort.open_session(model_file(work / "optimized")).get_inputs()]
        inputs = tuple(InputData(name, "Numpy") for name in names)
        samples = [folder / "calibration" / name for name in names]
        files = sorted((folder / "evaluation" / names[0]).iterdir())
        evaluation = [{name: np.load(folder / "evaluation" / name / file.name) for name in names} for file in files]
        model = Model(folder.name, work, inputs, samples, evaluation)
        watch(model.optimised, work, params=WatchParams())
        model.observe(model.optimised, work)
        return model

    def observe(self, optimised: Path, out: Path) -> None:
        """`watch.json` of `out` -> `statistics.msgpack` there."""
        observe(optimised, out / "watch.json", self.samples, out, params=ObserveParams(self.inputs))
        merge([out / "statistics.msgpack"], out, params=MergeParams())

    def outputs(self, model: Path) -> list[Array]:
        """The first output of every evaluated sample."""
        session = ort.open_session(model)
        return [session.run(None, feeds)[0] for feeds in self.evaluation]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", help="names, separated by commas; all of FOLDER where nothing is given")
    parser.add_argument("--methods", default="MinMax,Auto")
    parser.add_argument("--levels", default=",".join(map(str, LEVELS)))
    parser.add_argument("--smooth", default="off,on")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = options.models.split(",") if options.models else sorted(path.name for path in options.folder.iterdir())
    rows: list[Row] = []
    for name in names:
        with tempfile.TemporaryDirectory() as work:
            model = Model.of(options.folder / name, Path(work))
            exact = model.outputs(model_file(model.optimised))
            ways = itertools.product(
                options.methods.split(","), map(int, options.levels.split(",")), options.smooth.split(",")
            )
            for number, (method, level, smoothed) in enumerate(ways):
                out = Path(work) / str(number)
                out.mkdir()
                rows.append(measured(model, exact, out, method, level, smoothed))
                print(json.dumps(vars(rows[-1])), flush=True)
    print(table(rows))
    if options.write:
        put_into(options.write, "transformers.py", table(rows))
    return 0


def measured(model: Model, exact: list[Array], out: Path, method: str, level: int, smoothed: str) -> Row:
    """A model quantised in one way."""
    params = CalibrateParams(method, transformer_opt_level=level)
    optimised, statistics = model.optimised, model.work / "statistics.msgpack"
    if smoothed == "on":
        smooth(optimised, statistics, out, params=SmoothParams(0.2, 0.6))
        model.observe(out / "smoothed", out)
        (moved := out / "moved.msgpack").write_bytes((out / "statistics.msgpack").read_bytes())
        chosen = KeepPairsParams(model.inputs, params)
        keep_pairs(optimised, statistics, out / "pairs.json", moved, model.samples, out, params=chosen)
        optimised, statistics = out / "optimized", out / "statistics.msgpack"
        print((out / "smooth_quant.log").read_text().splitlines()[-1], file=sys.stderr)
    calibrate(optimised, statistics, out, params=params)
    quantize(optimised, out / "scheme.msgpack", out, params=QuantizeParams())
    found = model.outputs(out / "quant_axmodel.onnx")
    sums = [sums_of(a, b) for a, b in zip(exact, found, strict=True)]
    known = [one for one in sums if one is not None]
    noise = snr_db(sum(one.aa for one in known), sum(one.dd for one in known))
    cosine = min(one.cosine for one in known)
    return Row(model.name, method, level, smoothed, round(noise, 2), round(cosine, 5), cycles(optimised, out))


def cycles(optimised: Path, out: Path) -> int:
    """Of all NPU subgraphs, one sample; compiled from `quant_axmodel.onnx` in `out`."""
    partition(out / "quant_axmodel.onnx", optimised, out, params=PartitionParams(CHIP.support, ()))
    total = 0
    for subgraph in Partition.read(out / "partition").subgraphs:
        (made := out / subgraph.name).mkdir()
        compile_subgraph(out / "partition" / subgraph.file, made, params=CompileParams(CHIP.preset("NPU1")))
        total += int(json.loads((made / "report.json").read_text())["max_cycle"])
    return total


def table(rows: list[Row]) -> str:
    heads = ("model", "method", "level", "SmoothQuant", "SQNR dB", "cosine", "cycles")
    body = [[f"{value:,}" if isinstance(value, int) else str(value) for value in vars(row).values()] for row in rows]
    return markdown(heads, body)


if __name__ == "__main__":
    sys.exit(main())
