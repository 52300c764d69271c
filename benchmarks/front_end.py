"""The front end against onnxslim: seconds and memory from a model's file to the optimised one, in turn.

    python benchmarks/front_end.py MODEL.onnx ... --slim-python VENV/bin/python --runs 5 --json FILE

Each run is a process of its own on one thread; its time begins when everything is imported. Ours includes reading,
shapes, conversion of the opset, folding, fusing, running the model before and after, and writing; onnxslim's, reading,
slimming and writing. Ratios are medians of ours over medians of theirs; while other work keeps the machine busy, that
of CPU seconds is the one to read. MiB are the largest of a process; `allowed` is 150 MB, three times the file, and the
model's tensors once. onnxslim (with onnx and onnxruntime) stands in an environment of its own; without --slim-python
only ours runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20

OURS = """
import json, sys, time, warnings
from pathlib import Path
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
warnings.simplefilter("ignore")
began, cpu = time.perf_counter(), time.process_time()
optimize(Path(sys.argv[1]).parent, Path(sys.argv[2]), params=OptimizeParams())
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"seconds": seconds, "cpu": cpu, "kib": int(status["VmHWM"].split()[0])}))
"""

THEIRS = """
import json, sys, time
import onnx, onnxslim
began, cpu = time.perf_counter(), time.process_time()
onnx.save(onnxslim.slim(onnx.load(sys.argv[1])), sys.argv[2] + "/slim.onnx")
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"seconds": seconds, "cpu": cpu, "kib": int(status["VmHWM"].split()[0])}))
"""


@dataclass(frozen=True)
class Side:
    """A tool: the interpreter that has it, and what one run executes."""

    name: str
    python: str
    code: str

    def run(self, model: Path, out: Path) -> dict[str, float]:
        done = subprocess.run(
            [self.python, "-c", self.code, str(model), str(out)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        if done.returncode:
            sys.exit(f"{self.name} fails on {model.name}:\n{done.stderr[-2000:]}")
        found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return found


def measured(model: Path, sides: list[Side], runs: int) -> dict[str, Any]:
    """One row: medians of seconds, largest memory, and what the memory is measured against."""
    results: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory() as room:
        (Path(room) / "in").mkdir()
        placed = Path(shutil.copy(model, Path(room) / "in" / "model.onnx"))
        for run in range(runs):
            for side in sides:
                out = Path(room) / f"{side.name}{run}"
                out.mkdir()
                results[side.name].append(side.run(placed, out))
        activations = tensor_bytes(Path(room) / "axbuild0" / "optimized" / "optimized.onnx")
    row: dict[str, Any] = {"model": model.stem, "file_mib": model.stat().st_size / MIB}
    row["allowed_mib"] = (150e6 + activations) / MIB + 3 * row["file_mib"]
    for name, found in results.items():
        row[name] = {
            "seconds": statistics.median(one["seconds"] for one in found),
            "cpu": statistics.median(one["cpu"] for one in found),
            "mib": max(one["kib"] for one in found) / 1024,
        }
    if "onnxslim" in row:
        row |= {f"ratio_{unit}": row["axbuild"][unit] / row["onnxslim"][unit] for unit in ("seconds", "cpu")}
    return row


def tensor_bytes(model: Path) -> int:
    """Bytes of every tensor that one sample makes in the optimised model."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    total = 0
    for value in (*graph.value_info, *graph.output):
        kind = value.type.tensor_type
        elements = 1
        for dimension in kind.shape.dim:
            elements *= dimension.dim_value
        total += elements * onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
    return total


def shown(row: dict[str, Any]) -> str:
    parts = [f"{row['model']:28}"]
    for name in ("axbuild", "onnxslim"):
        if name in row:
            parts.append("{} {seconds:6.2f} s {cpu:6.2f} s CPU {mib:5.0f} MiB".format(name, **row[name]))
    parts.append(f"allowed {row['allowed_mib']:5.0f} MiB")
    if "ratio_cpu" in row:
        parts.append(f"ratio {row['ratio_seconds']:.2f}, of CPU {row['ratio_cpu']:.2f}")
    return "   ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--slim-python", help="an interpreter that has onnxslim")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sides = [Side("axbuild", sys.executable, OURS)]
    if arguments.slim_python:
        sides.append(Side("onnxslim", arguments.slim_python, THEIRS))
    rows = []
    for model in arguments.models:
        rows.append(measured(model, sides, arguments.runs))
        print(shown(rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
