"""EasyQuant on real models: python benchmarks/easy_quant.py FOLDER [--models NAMES] [--methods NAMES] [--samples N]

FOLDER as for `quant.py`. SQNR is 10 log10(signal / noise) of the model's first output over the judged samples, which
calibrated nothing, of the exact integers against the float model, before the search and after; CPU seconds are those of
the search. --write FILE puts the table between FILE's marks `<!-- easy_quant.py -->` and
`<!-- end of easy_quant.py -->`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
from tables import markdown, put_into

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.likeness import snr_db
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.watch import WatchParams, watch
from axbuild.toolchain.search.cut_grids import CutGridsParams, cut_grids
from axbuild.toolchain.search.finish_search import FinishSearchParams, finish_search
from axbuild.toolchain.search.record import RecordParams, record
from axbuild.toolchain.search.search_block import SearchBlockParams, search_block
from axbuild.toolchain.tune.plan import PLAN, read_plan

Array = np.ndarray[Any, np.dtype[Any]]

WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="mnv2_mnist,effnet_lite0")
    parser.add_argument("--methods", default="MinMax,Auto")
    parser.add_argument("--weights", default="S8", help="types of weights, separated by commas: S8, S4")
    parser.add_argument("--samples", type=int, default=32, help="to judge by, at most")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in options.models.split(","):
        for weights, method in itertools.product(options.weights.split(","), options.methods.split(",")):
            with tempfile.TemporaryDirectory() as work:
                rows.append(measured(options.folder, name, method, weights, options.samples, Path(work)))
                print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    if options.write:
        put_into(options.write, "easy_quant.py", table(rows))
    return 0


def measured(folder: Path, name: str, method: str, weights: str, count: int, work: Path) -> dict[str, Any]:
    """One network by one method and type of weights, before and after."""
    with np.load(folder / "data" / f"{name}.npz", allow_pickle=False) as data:
        calibration, evaluation = data["calib"], data["eval"][:count]
    samples, source, optimised = work / "samples", work / "source", work / "optimized"
    samples.mkdir()
    source.mkdir()
    for number, sample in enumerate(calibration):
        np.save(samples / f"{number:03}.npy", sample[np.newaxis])
    (source / "model.onnx").write_bytes((folder / "models" / f"{name}.onnx").read_bytes())
    port = str(ort.open_session(source / "model.onnx").get_inputs()[0].name)
    inputs = (InputData(port, "Numpy"),)
    optimize(source, work, params=OptimizeParams(input_shapes={port: (1, *calibration.shape[1:])}))
    watch(optimised, work, params=WatchParams())
    observe(optimised, work / "watch.json", [samples], work, params=ObserveParams(inputs))
    merge([work / "statistics.msgpack"], work, params=MergeParams())
    rules = (LayerConfig(op_types=tuple(WEIGHTED & operators(optimised)), weight_data_type=weights),)
    calibrate(optimised, work / "statistics.msgpack", work, params=CalibrateParams(method, rules))
    exact = outputs(model_file(optimised), port, evaluation)
    before = decibels(exact, optimised, work / "scheme.msgpack", work, port, evaluation)
    begun = time.process_time()
    after = work / "after"
    blocks = searched(optimised, work / "scheme.msgpack", samples, work, inputs, after)
    seconds = time.process_time() - begun
    found = decibels(exact, optimised, after / "scheme.msgpack", after, port, evaluation)
    return {
        "model": name,
        "method": method,
        "weights": weights,
        "blocks": blocks,
        "before_db": before,
        "after_db": found,
    } | {"cpu_s": round(seconds, 1)}


def operators(optimised: Path) -> set[str]:
    return {node.op_type for node in onnx.load(model_file(optimised), load_external_data=False).graph.node}


def searched(optimised: Path, scheme: Path, samples: Path, work: Path, inputs: tuple[InputData, ...], out: Path) -> int:
    """The searched scheme in the new folder `out`; how many blocks there were."""
    cut_grids(optimised, scheme, work, params=CutGridsParams())
    record(optimised, work / "blocks", [samples], work, params=RecordParams(inputs))
    count = len(read_plan(work / "blocks" / PLAN))
    for number in range(count):
        (made := work / "tuned" / str(number)).mkdir(parents=True)
        block, tensors = work / "blocks" / str(number), work / "tensors" / str(number)
        search_block(block, tensors, made, params=SearchBlockParams())
    out.mkdir()
    chosen = FinishSearchParams(inputs)
    finish_search(optimised, scheme, work / "blocks", work / "tuned", [samples], out, params=chosen)
    print((out / "easy_quant.log").read_text().splitlines()[-1], file=sys.stderr)
    return count


def decibels(exact: Array, optimised: Path, scheme: Path, out: Path, port: str, samples: Array) -> float:
    quantize(optimised, scheme, out, params=QuantizeParams())
    found = outputs(out / "quant_axmodel.onnx", port, samples)
    return round(snr_db(float((exact**2).sum()), float(((found - exact) ** 2).sum())), 2)


def outputs(model: Path, port: str, samples: Array) -> Array:
    """float64 [n, ...]: the first output of every sample."""
    session = ort.open_session(model)
    return np.concatenate([session.run(None, {port: sample[np.newaxis]})[0] for sample in samples]).astype(np.float64)


def table(rows: list[dict[str, Any]]) -> str:
    heads = ("network", "method", "weights", "grids", "SQNR dB before", "after", "CPU s")
    return markdown(heads, (row.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
