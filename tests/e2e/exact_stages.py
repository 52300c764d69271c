"""Runs every exact stage of a model in this process, from statistics to simulated outputs, and prints the digests.

    python exact_stages.py OPTIMIZED_ONNX STATISTICS SAMPLES OUT

One JSON object: "features", what numpy, its OpenBLAS and the C library use of the processor's instruction sets here
(the C library does not tell, so a digest of some results of its exp and tanh stands for it); "digests", SHA-256 of
every file that a stage wrote.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from axbuild.engine.workers.params import params_of
from axbuild.toolchain.npu.chips.table import FOLDER, by_name, chips_of
from axbuild.workspace.tables import Tables

PROCESSOR = {
    "tensor_name": "DEFAULT",
    "tensor_format": "GRAY",
    "src_format": "GRAY",
    "src_dtype": "U8",
    "src_layout": "NHWC",
    "mean": [127.5],
    "std": [127.5],
}
INPUTS = [{"name": "", "format": "Image", "mean": [127.5], "std": [127.5]}]
CHIP = by_name(chips_of(Tables(FOLDER).tables))["AX650"]


class Runner:
    def __init__(self, room: Path) -> None:
        self.room = room

    def run(self, ref: str, name: str, params: dict[str, Any], **inputs: Path | list[Path]) -> Path:
        """The folder of a stage's outputs."""
        module, _, function = ref.partition(":")
        stage = getattr(importlib.import_module(module), function)
        out = self.room / name
        out.mkdir(parents=True)
        stage(**inputs, out=out, **params_of(stage, params))
        return out

    def expand(self, folder: Path, inputs: dict[str, Any]) -> Path:
        """Runs the children of an expansion, which stand in an order that serves them; the tree of its result."""
        expansion = json.loads((folder / "expansion.json").read_text())
        done: dict[str, Path] = {}

        def found(reference: Any) -> Any:
            if isinstance(reference, list):
                return [found(item) for item in reference]
            sort, _, rest = reference.partition(":")
            head, _, tail = rest.partition("/")
            start = inputs[head] if sort == "input" else done[head]
            return start / tail if tail else start

        waiting = list(expansion["children"])
        while waiting:
            child = waiting.pop(0)
            try:
                given = {role: found(reference) for role, reference in child["inputs"].items()}
            except KeyError:
                waiting.append(child)
                continue
            done[child["name"]] = self.run(child["stage"], f"children/{child['name']}", child["params"], **given)
        result = self.room / "result"
        for name, reference in expansion["result"].items():
            (result / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if name.endswith("/") else shutil.copyfile
            copy(found(reference), result / name)
        return result


def run_all(optimized: Path, statistics: Path, samples: Path, room: Path) -> None:
    runner = Runner(room)
    toolchain = "axbuild.toolchain"
    merged = runner.run(f"{toolchain}.quant.merge:merge", "merge", {}, parts=[statistics]) / "statistics.msgpack"
    settings = {"method": "MinMax", "bias_correction": None, "layer_configs": []}
    calibrate = f"{toolchain}.quant.calibrate:calibrate"
    scheme = runner.run(calibrate, "calibrate", settings, model=optimized, statistics=merged) / "scheme.msgpack"
    quant = runner.run(f"{toolchain}.quant.quantize:quantize", "quantize", {}, model=optimized, scheme=scheme)
    model = quant / "quant_axmodel.onnx"
    settings = {"chip": asdict(CHIP.support), "input_processors": [PROCESSOR]}
    partition = f"{toolchain}.npu.plan.partition:partition"
    parts = runner.run(partition, "partition", settings, model=model, float_model=optimized) / "partition"
    settings = {"chip": asdict(CHIP.preset("NPU1")), "options": {"ddr_bw_limit": 0.0}, "batches": [1, 2]}
    split = runner.run(f"{toolchain}.npu.plan.split:split", "split", settings, partition=parts, dynamic=[])
    programs = runner.expand(split, {"partition": parts})
    nameplate = {"name": CHIP.name, "number": CHIP.container, "npu_mode": "NPU1"}
    settings = {"chip": nameplate, "options": {"ddr_bw_limit": 0.0}}
    fused = runner.run(f"{toolchain}.axmodel.fuse:fuse", "fuse", settings, partition=[parts], programs=[programs])
    settings = {"inputs": INPUTS, "input_processors": [PROCESSOR]}
    given = {
        "axmodel": fused / "compiled.axmodel",
        "model": model,
        "partition": parts,
        "samples": [samples],
        "data": [],
    }
    answers = runner.run(f"{toolchain}.axmodel.answers:answers", "answers", settings, **given)
    runner.expand(answers, given)


def features() -> dict[str, Any]:
    from numpy._core import _multiarray_umath as core

    return {
        "numpy": sorted(name for name, active in core.__cpu_features__.items() if active),
        "openblas": os.environ.get("OPENBLAS_CORETYPE", "detected"),
        "glibc": os.environ.get("GLIBC_TUNABLES", "detected"),
        "libm": hashlib.sha256(
            repr([(math.exp(x / 7), math.tanh(x / 7)) for x in range(-50, 50)]).encode()
        ).hexdigest(),
    }


def main() -> None:
    optimized, statistics, samples, room = (Path(argument).absolute() for argument in sys.argv[1:])
    run_all(optimized, statistics, samples, room)
    digests = {
        file.relative_to(room).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(room.rglob("*"))
        if file.is_file()
    }
    print(json.dumps({"features": features(), "digests": digests}))


if __name__ == "__main__":
    main()
