"""How well and how fast we quantise five networks: python benchmarks/quant.py FOLDER [--models NAMES] [--methods NAMES]

FOLDER holds models/NAME.onnx and data/NAME.npz with the arrays `calib`, 32 samples to calibrate on, and `eval`,
others to judge by. A network that ends in probabilities is taken as far as its logits. Each stage runs in a process
of its own on one thread, forked from one that has imported it, as a build runs it: its CPU seconds (medians of
--runs) and the highest memory of any. SQNR is 10 log10(signal / noise) of the model's first output over all judged
samples, of the bit-exact integer model against the float one, and `median` that of the median sample; `x float pass`
is the CPU time of quantisation over that of onnxruntime's float pass over the 32 samples, as it is by default, and
`observe` that of observation alone. --write FILE puts the table between FILE's marks `<!-- quant.py -->` and
`<!-- end of quant.py -->`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
from logits import as_far_as_logits
from tables import markdown, put_into

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.watch import WatchParams, watch
from axbuild.toolchain.rounding.choose_ranges import ChooseRangesParams, choose_ranges
from axbuild.toolchain.rounding.round_weights import RoundWeightsParams, round_weights
from axbuild.toolchain.smooth.equalize import EqualizeParams, equalize

MODELS = ("mnv2_mnist", "pp_cls", "effnet_lite0", "pp_det", "pp_rec")
PEERS: dict[str, dict[str, float]] = {
    "mnv2_mnist": {"MinMax": 33.5, "Percentile": 32.6, "MSE": 31.4, "KL": 1.8, "Auto": 33.5},
    "pp_cls": {"MinMax": 16.0, "Percentile": 16.1, "MSE": 16.0, "KL": 11.0, "Auto": 16.1},
    "effnet_lite0": {"MinMax": 19.8, "Percentile": 19.1, "MSE": 19.7, "KL": 16.0, "Auto": 19.8},
    "pp_det": {"MinMax": 14.2, "Percentile": 20.6, "Auto": 28.4},
    "pp_rec": {"MinMax": 8.5, "Percentile": 11.8, "Auto": 17.7},
}
"""dB: the best of our peers with the same method, and beside Auto with any that trains nothing"""
METHODS = ("MinMax", "Percentile", "MSE", "KL", "Auto")
JUDGED = 40
"""samples of the two text networks that are judged, as their peers were"""
SCHEME, STATISTICS = "scheme.msgpack", "statistics.msgpack"
MARKED = float(np.log(0.3 / 0.7))
"""the logit above which the detector marks text: a probability of 0.3"""
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Cost:
    """Of one call in a process of its own: CPU seconds, MiB at the most."""

    seconds: float
    mebibytes: float


@dataclass
class Row:
    """One network under one method; costs: stage -> what it took."""

    model: str
    method: str
    costs: dict[str, Cost] = field(default_factory=dict)
    float_seconds: float = 0.0
    sqnr: float = 0.0
    median: float = 0.0
    task: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(cost.seconds for cost in self.costs.values())

    def figures(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "method": self.method,
            "sqnr_db": round(self.sqnr, 2),
            "median_db": round(self.median, 2),
            "best_peer_db": PEERS[self.model].get(self.method, "-"),
            "same": round(self.task, 4),
            "stages": {name: round(cost.seconds, 3) for name, cost in self.costs.items()},
            "cpu_s": round(self.seconds, 2),
            "ratio": round(self.seconds / self.float_seconds, 1),
            "observe": round(self.costs["observe"].seconds / self.float_seconds, 1),
            "peak_mib": round(max(cost.mebibytes for cost in self.costs.values())),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.models.split(","):
        with tempfile.TemporaryDirectory() as work:
            for row in measured(options.folder, name, options.methods.split(","), options.runs, Path(work)):
                rows.append(row.figures())
                print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.write:
        put_into(options.write, "quant.py", table(rows))
    return 0


def measured(folder: Path, name: str, methods: list[str], runs: int, work: Path) -> list[Row]:
    """The rows of one network."""
    with np.load(folder / "data" / f"{name}.npz", allow_pickle=False) as data:
        calibration, evaluation = data["calib"], judged_of(name, data["eval"])
    samples = work / "samples"
    samples.mkdir()
    for number, sample in enumerate(calibration):
        np.save(samples / f"{number:03}.npy", sample[np.newaxis])
    optimised = work / "optimized"
    shape = (1, *calibration.shape[1:])
    (work / "source").mkdir()
    onnx.save(as_far_as_logits(onnx.load(folder / "models" / f"{name}.onnx")), work / "source" / "model.onnx")
    port = input_of(work / "source" / "model.onnx")
    alone(lambda: optimize(work / "source", work, params=OptimizeParams(input_shapes={port: shape})))
    ready = data_stages(optimised, samples, work, port)
    before = {stage: averaged(call, runs) for stage, call in ready.items()}
    plain = averaged(lambda: float_pass(optimised, port, calibration), runs)
    alone(lambda: np.save(work / "float.npy", outputs(model_file(optimised), port, evaluation)))
    return [judged(Row(name, method, dict(before), plain.seconds), work, port, evaluation, runs) for method in methods]


def judged_of(name: str, evaluation: Array) -> Array:
    return evaluation[:JUDGED] if name in ("pp_det", "pp_rec") else evaluation


def data_stages(optimised: Path, samples: Path, work: Path, port: str) -> dict[str, Callable[[], None]]:
    """What no method changes."""
    data = ObserveParams((InputData(port, "Numpy"),))
    return {
        "watch": lambda: watch(optimised, work, params=WatchParams()),
        "observe": lambda: observe(optimised, work / "watch.json", [samples], work, params=data),
        "merge": lambda: merge([work / "statistics.msgpack"], work, params=MergeParams()),
    }


def judged(row: Row, work: Path, port: str, evaluation: Array, runs: int) -> Row:
    """The row with what its method costs and gives."""
    stages, optimised = (measured_stages if row.method == "Auto" else usual_stages)(work, port, row.method)
    stages["quantize"] = lambda: quantize(optimised, work / SCHEME, work, params=QuantizeParams())
    for name, stage in stages.items():
        row.costs[name] = averaged(stage, runs)
    alone(lambda: np.save(work / "integer.npy", outputs(work / "quant_axmodel.onnx", port, evaluation)))
    reference, ours = (np.load(work / f"{which}.npy").astype(np.float64) for which in ("float", "integer"))
    signal, noise = ((array.reshape(len(array), -1) ** 2).sum(axis=1) for array in (reference, ours - reference))
    row.sqnr, row.median = decibels(signal.sum() / noise.sum()), decibels(np.median(signal / noise))
    row.task = same(reference, ours)
    return row


Stages = dict[str, Callable[[], None]]


def usual_stages(work: Path, port: str, method: str) -> tuple[Stages, Path]:
    """What a method does behind observation, and the folder of the float model that it leaves."""
    optimised, params = work / "optimized", CalibrateParams(method)
    return {"calibrate": lambda: calibrate(optimised, work / STATISTICS, work, params=params)}, optimised


def measured_stages(work: Path, port: str, method: str) -> tuple[Stages, Path]:
    """The same of Auto."""
    inputs, samples, even = (InputData(port, "Numpy"),), [work / "samples"], work / "even"
    optimised, ranges = even / "optimized", ChooseRangesParams(inputs, CalibrateParams(method))
    known, rounding = EqualizeParams(inputs), RoundWeightsParams(inputs)
    stages: Stages = {
        "equalize": lambda: equalize(work / "optimized", work / STATISTICS, samples, emptied(even), params=known),
        "choose_ranges": lambda: choose_ranges(optimised, even / STATISTICS, samples, even, params=ranges),
        "round_weights": lambda: round_weights(optimised, even / SCHEME, samples, work, params=rounding),
    }
    return stages, optimised


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def same(reference: Array, ours: Array) -> float:
    """The share of classes, or of lines of text, that stay; of a map, the overlap of what is marked."""
    if reference.shape[1] == 1:
        a, b = reference > MARKED, ours > MARKED
        return float((a & b).sum() / (a | b).sum())
    pairs = zip(reference.argmax(axis=-1), ours.argmax(axis=-1), strict=True)
    return float(np.mean([read(a) == read(b) for a, b in pairs]))


def read(classes: Array) -> list[int]:
    """One class as it is; the classes of a line's steps without repetitions and the blank, 0."""
    steps = np.atleast_1d(classes).tolist()
    return steps if classes.ndim == 0 else [b for a, b in itertools.pairwise([0, *steps]) if b not in (a, 0)]


def input_of(model: Path) -> str:
    return str(ort.open_session(model).get_inputs()[0].name)


def float_pass(optimised: Path, port: str, samples: Array) -> None:
    """As onnxruntime runs it where nobody asks for anything else."""
    session = ort.open_session(model_file(optimised), level="all")
    for sample in samples:
        session.run(None, {port: sample[np.newaxis]})


def outputs(model: Path, port: str, samples: Array) -> Array:
    """[n, ...]: the first output of every sample."""
    session = ort.open_session(model)
    return np.concatenate([session.run(None, {port: sample[np.newaxis]})[0] for sample in samples])


def averaged(call: Callable[[], object], runs: int) -> Cost:
    """Medians of the seconds, the most of the memory."""
    costs = [alone(call) for _ in range(runs)]
    return Cost(median(cost.seconds for cost in costs), max(cost.mebibytes for cost in costs))


def alone(call: Callable[[], object]) -> Cost:
    """Run it in a forked process; what it raises ends this one too."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            call()
            status = 0
        except BaseException as error:  # a child must never return into the parent's code
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit("a stage failed")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def table(rows: list[dict[str, Any]]) -> str:
    heads = (
        *("network", "method", "SQNR dB", "median", "best peer", "same answers"),
        *("CPU s", "x float pass", "observe", "MiB"),
    )
    keys = (
        *("model", "method", "sqnr_db", "median_db", "best_peer_db", "same"),
        *("cpu_s", "ratio", "observe", "peak_mib"),
    )
    return markdown(heads, ([row[key] for key in keys] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
