"""Fine-tuning on real models: SQNR before and after, seconds, and how far devices are apart.

    python benchmarks/tune.py prepare FOLDER NAME MODEL.onnx DATA.npz [--eval 200]
    python benchmarks/tune.py run FOLDER [--device cpu --device cuda:0] [--method lsq] [--steps 200] ...

DATA.npz holds `calib` and `eval`, float32 samples of the model's one input. `prepare` optimises and calibrates
once, into FOLDER/NAME, which with this repository is all that `run` needs: numpy, msgpack, onnx, onnx_ir, onnxruntime
and torch, no installed axbuild. One JSON object a line comes out. SQNR is 10 log10(signal / noise) over all outputs of
the samples that calibrated nothing, of the exact integers against the float model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a copy, where nothing is installed

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme
from axbuild.toolchain.tune.begin import BeginParams, begin
from axbuild.toolchain.tune.carry import CarryParams, carry
from axbuild.toolchain.tune.cut import CutParams, cut
from axbuild.toolchain.tune.passes import coded_outputs, float_outputs
from axbuild.toolchain.tune.plan import PLAN, SCHEME, read_plan
from axbuild.toolchain.tune.report import Outcome
from axbuild.toolchain.tune.tune_block import TuneParams, tune_block

INPUT = (InputData("", "Numpy"),)
MODEL = "optimized.onnx"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("prepare", help="optimise and calibrate a model")
    making.add_argument("folder", type=Path)
    making.add_argument("name")
    making.add_argument("model", type=Path)
    making.add_argument("data", type=Path)
    making.add_argument("--eval", type=int, default=200, help="samples to judge on")
    running = verbs.add_parser("run", help="tune what was prepared")
    making.add_argument("--weights", default="S8", help="element type of the weights: S4, S8 or S16")
    making.add_argument("--calibration", default="MinMax", help="method that the scheme to start from is of")
    running.add_argument("folder", type=Path)
    running.add_argument("--model", action="append", help="names; all that were prepared where none is given")
    running.add_argument("--device", action="append", help="cpu, cuda:0 ..; cpu where none is given")
    running.add_argument("--method", action="append", help="adaround, lsq, brecq; all where none is given")
    running.add_argument("--steps", type=int, default=200)
    running.add_argument("--size", type=int, default=4, help="weighted operators in a block")
    running.add_argument("--batch", type=int, default=1)
    running.add_argument("--rate", type=float, default=1e-3)
    running.add_argument("--json", type=Path, help="write the lines here as well")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.verb == "prepare":
        prepare(
            options.folder / options.name,
            options.model,
            options.data,
            options.eval,
            options.weights,
            options.calibration,
        )
    else:
        for line in lines(options):
            print(line, flush=True)
            if options.json:
                with options.json.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    return 0


def prepare(folder: Path, model: Path, data: Path, count: int, weights: str, method: str) -> None:
    """The optimised model, its scheme, and the samples."""
    from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize  # it needs more than `run` has to have
    from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
    from axbuild.toolchain.quant.merge import MergeParams, merge
    from axbuild.toolchain.quant.observe import ObserveParams, observe
    from axbuild.toolchain.quant.precision import WHOLE, LayerConfig
    from axbuild.toolchain.quant.watch import WatchParams, watch

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    held = np.load(data, allow_pickle=False)
    np.savez_compressed(folder / "samples.npz", calib=held["calib"], eval=held["eval"][:count])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "in").mkdir()
        onnx.save(of_one_sample(model), work / "in/model.onnx")
        optimize(work / "in", work, params=OptimizeParams())
        shutil.copy(work / "optimized" / MODEL, folder / MODEL)
        samples = write_samples(folder, work)
        watch(folder / MODEL, work, params=WatchParams())
        observe(folder / MODEL, work / "watch.json", [samples], work, params=ObserveParams(INPUT))
        merge([work / "statistics.msgpack"], work, params=MergeParams())
        rule = LayerConfig(start_tensor_names=(WHOLE,), end_tensor_names=(WHOLE,), weight_data_type=weights)
        params = CalibrateParams(method, layer_configs=(rule,))
        calibrate(folder / MODEL, work / "statistics.msgpack", folder, params=params)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size / 2**20:.1f} MB")


def of_one_sample(model: Path) -> onnx.ModelProto:
    proto = onnx.load(model)
    for port in (*proto.graph.input, *proto.graph.output):
        first = port.type.tensor_type.shape.dim[0]
        if first.dim_param:
            first.dim_value = 1
    return proto


def write_samples(folder: Path, work: Path) -> Path:
    """The calibration samples, a file each."""
    target = work / "samples"
    target.mkdir()
    for number, sample in enumerate(np.load(folder / "samples.npz")["calib"]):
        np.save(target / f"{number:04}.npy", sample[np.newaxis].astype(np.float32))
    return target


@dataclass(frozen=True)
class Tuned:
    """A model as one device tuned it. rows: what each block came to."""

    scheme: Scheme
    rows: list[Outcome]
    wall: float
    cpu: float
    tuning: float
    output: np.ndarray[Any, np.dtype[Any]]


def lines(options: argparse.Namespace) -> Iterator[str]:
    names = options.model or sorted(file.parent.name for file in options.folder.glob(f"*/{MODEL}"))
    for name in names:
        folder = options.folder / name
        judge = Judge(folder)
        for method in options.method or ("adaround", "lsq", "brecq"):
            params = TuneParams(method, options.steps, options.batch, options.rate)
            done: dict[str, Tuned] = {}
            for device in options.device or ("cpu",):
                done[device] = tuned(folder, judge, params, options.size, device)
                yield json.dumps({"model": name, **vars(params), "device": device, **told(judge, done[device])})
            first, *others = done
            for other in others:
                row = {"model": name, "method": method, "devices": [first, other]}
                yield json.dumps(row | apart(judge, done[first], done[other]))


class Judge:
    """The float model's answers to the samples that calibrated nothing."""

    def __init__(self, folder: Path) -> None:
        self.graph = ir.load(folder / MODEL).graph
        samples = np.load(folder / "samples.npz")["eval"][:, np.newaxis].astype(np.float32)
        self.inputs = {self.graph.inputs[0].name or "": samples}
        self.name = self.graph.outputs[0].name or ""
        self.target = float_outputs(folder / MODEL, self.inputs)[self.name].astype(np.float64)
        self.start = self.output(Scheme.read(folder / SCHEME))

    def output(self, scheme: Scheme) -> np.ndarray[Any, np.dtype[Any]]:
        return coded_outputs(self.graph, scheme, self.inputs)[self.name].astype(np.float64)

    def sqnr(self, output: np.ndarray[Any, np.dtype[Any]]) -> float:
        return 10.0 * float(np.log10(np.sum(self.target**2) / np.sum((output - self.target) ** 2)))


def tuned(folder: Path, judge: Judge, params: TuneParams, size: int, device: str) -> Tuned:
    """Every block in turn, by the stages of a build, in this process."""
    rows: list[Outcome] = []
    sites: dict[tuple[str, ...], SiteScheme] = {}
    wall, cpu, tuning = time.perf_counter(), time.process_time(), 0.0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        cut(folder / MODEL, folder / SCHEME, work, params=CutParams(size))
        begin(folder / MODEL, [write_samples(folder, work)], work, params=BeginParams(INPUT))
        boundary = work / "boundary"
        plan = read_plan(work / "blocks" / PLAN)
        for number, block in enumerate(plan):
            given, out = work / f"blocks/{number}", work / f"{number}"
            out.mkdir()
            scheme = given / SCHEME
            if block.tuned:
                began = time.perf_counter()
                tune_block(given, boundary, out, params=params, device=device)
                tuning += time.perf_counter() - began
                scheme = out / SCHEME
                rows.append(Outcome.read(out / "report.json"))
                told_so_far = (
                    f"{device} block {number + 1} of {len(plan)}: {rows[-1].before:.4g} -> {rows[-1].after:.4g}"
                )
                print(f"{told_so_far}, {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
            sites |= {site.nodes: site for site in Scheme.read(scheme).sites}
            if number + 1 < len(plan):
                carry(given, scheme, boundary, out, params=CarryParams(block.goes_on))
                shutil.rmtree(boundary)
                boundary = out / "boundary"
    start = Scheme.read(folder / SCHEME)
    found = Scheme(tuple(sites[site.nodes] for site in start.sites), start.owners)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Tuned(found, rows, wall, cpu, tuning, judge.output(found))


def told(judge: Judge, done: Tuned) -> dict[str, Any]:
    return {
        "sqnr_before_db": round(judge.sqnr(judge.start), 2),
        "sqnr_after_db": round(judge.sqnr(done.output), 2),
        "blocks": len(done.rows),
        "kept": sum(not row.refusal for row in done.rows),
        "wall_s": round(done.wall, 2),
        "cpu_s": round(done.cpu, 2),
        "tuning_wall_s": round(done.tuning, 2),
    }


def apart(judge: Judge, one: Tuned, other: Tuned) -> dict[str, Any]:
    """Of the weights' codes how many differ and by how much at most; of the outputs the largest difference, over the
    largest float output."""
    pairs = [
        (a.weight.codes.astype(np.int64), b.weight.codes.astype(np.int64))
        for a, b in zip(one.scheme.sites, other.scheme.sites, strict=True)
        if a.weight is not None and b.weight is not None
    ]
    differing = sum(int((a != b).sum()) for a, b in pairs)
    return {
        "codes_differing": round(differing / sum(a.size for a, _ in pairs), 6),
        "largest_difference_in_codes": max(int(np.abs(a - b).max()) for a, b in pairs),
        "largest_difference_of_outputs": float(np.abs(one.output - other.output).max() / np.abs(judge.target).max()),
        "sqnr_difference_db": round(judge.sqnr(other.output) - judge.sqnr(one.output), 2),
        "largest_difference_of_a_block_loss": max(
            abs(a.after - b.after) / a.before for a, b in zip(one.rows, other.rows, strict=True) if a.before
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
