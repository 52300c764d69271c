"""How well and how fast we quantise five networks: python benchmarks/quant.py FOLDER [--models NAMES] [--methods NAMES]

FOLDER holds models/NAME.onnx and data/NAME.npz with the arrays `calib`, 32 samples to calibrate on, and `eval`, others
to judge by. Each stage runs in a process of its own on one thread, forked from one that has imported it, as a build
runs it: its CPU seconds (medians of --runs) and the highest memory of any. SQNR is 10 log10(signal / noise) of the
model's first output over all judged samples, of the bit-exact integer model against the float one; `x float pass` is
the CPU time of quantisation over that of onnxruntime's float pass over the 32 samples, as it is by default, and
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
from axbuild.toolchain.smooth.equalize import EqualizeParams, equalize

MODELS = ("mnv2_mnist", "pp_cls", "effnet_lite0", "pp_det", "pp_rec")
BEST_PEER = {"mnv2_mnist": 33.5, "pp_cls": 31.1, "effnet_lite0": 19.8, "pp_det": 18.8, "pp_rec": 17.2}
"""dB: the best that any of six quantisers reached with any method that trains nothing; on the detector and the
recogniser with a grid a channel where a depthwise convolution reads"""
METHODS = ("MinMax", "Percentile", "MSE", "KL", "Auto")
JUDGED = 40
"""samples of the two text networks that are judged, as their peers were"""
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
    task: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(cost.seconds for cost in self.costs.values())

    def figures(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "method": self.method,
            "sqnr_db": round(self.sqnr, 2),
            "best_peer_db": BEST_PEER[self.model],
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
    (work / "source" / "model.onnx").write_bytes((folder / "models" / f"{name}.onnx").read_bytes())
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
    params = CalibrateParams(row.method)
    if row.method == "Auto":
        data, known, inputs = (
            EqualizeParams((InputData(port, "Numpy"),)),
            work / "statistics.msgpack",
            [work / "samples"],
        )
        row.costs["equalize"] = averaged(
            lambda: equalize(work / "optimized", known, inputs, emptied(work / "even"), params=data), runs
        )
    of = work / "even" if row.method == "Auto" else work
    optimised, scheme = of / "optimized", work / "scheme.msgpack"
    row.costs["calibrate"] = averaged(
        lambda: calibrate(optimised, of / "statistics.msgpack", work, params=params), runs
    )
    row.costs["quantize"] = averaged(lambda: quantize(optimised, scheme, work, params=QuantizeParams()), runs)
    alone(lambda: np.save(work / "integer.npy", outputs(work / "quant_axmodel.onnx", port, evaluation)))
    reference, ours = (np.load(work / f"{which}.npy").astype(np.float64) for which in ("float", "integer"))
    row.sqnr = 10 * float(np.log10((reference**2).sum() / ((ours - reference) ** 2).sum()))
    row.task = same(reference, ours)
    return row


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def same(reference: Array, ours: Array) -> float:
    """The share of classes, or of lines of text, that stay; of a map, the overlap of what is above 0.3."""
    if reference.shape[1] == 1:
        a, b = reference > 0.3, ours > 0.3
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
    heads = ("network", "method", "SQNR dB", "best peer", "same answers", "CPU s", "x float pass", "observe", "MiB")
    keys = ("model", "method", "sqnr_db", "best_peer_db", "same", "cpu_s", "ratio", "observe", "peak_mib")
    return markdown(heads, ([row[key] for key in keys] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
