"""Whole networks on every chip and mode: built, verified, and the simulated chip equal to the quantised model.

    python tests/stress/models.py [--models resnet50,vgg19] [--chips AX650:NPU1,M57:NPU1] [--seed 0]
        [MODEL.onnx ...] [--shape x=1x3x224x224 ...]

Without files: the networks that the `onnx` package ships for its backend tests, whose weights all have one value; they
are replaced by seeded random ones, scaled as trained nets have them, so that outputs vary. Every model is quantised
once, on two seeded random samples, and compiled for each chip and mode; a check of level equal runs on the samples.
Open dimensions of a file's inputs are 1 unless --shape names the input.
Exits 1 where anything failed. A model whose operators the NPU lacks has CPU subgraphs, which are counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npu_world import PLACES

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
AXBUILD = Path(sys.executable).with_name("axbuild")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--models", default="", help="names of the networks of the onnx package, without light_")
    parser.add_argument("--chips", default="", help="CHIP:MODE, ...; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shape", action="append", default=[], help="INPUT=1x3x224x224 for what a file leaves open")
    args = parser.parse_args()
    wanted = [name for name in args.models.split(",") if name]
    light = {file.stem.removeprefix("light_"): file for file in sorted(LIGHT.glob("*.onnx"))}
    if unknown := [name for name in wanted if name not in light]:
        parser.error(f"the onnx package has no {', '.join(unknown)}; it has {', '.join(light)}")
    files = args.files or [light[name] for name in wanted or light]
    chips = [tuple(item.split(":")) for item in args.chips.split(",") if item] or PLACES
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "axbuild.toml").touch()
        shapes = {name: [int(size) for size in shape.split("x")] for name, shape in map(_halves, args.shape)}
        failed = [file.stem for file in files if not run(root, file, chips, shapes, args.seed)]
    print(
        f"{len(files) - len(failed)} of {len(files)} models on {len(chips)} chips and modes" + " ".join(["", *failed])
    )
    return bool(failed)


def _halves(text: str) -> tuple[str, str]:
    name, _, shape = text.rpartition("=")
    return name, shape


def run(root: Path, file: Path, chips: list[tuple[str, str]], shapes: dict[str, list[int]], seed: int) -> bool:
    """One model as a package; prints its row."""
    lay_out(root, file, chips, shapes, seed)
    began = time.perf_counter()
    done = build(root, file.stem)
    seconds = time.perf_counter() - began
    verdict = "passed" if done.returncode == 0 else "FAILED"
    print(f"{file.stem:24} {verdict} {seconds:6.1f} s  {subgraphs(root / 'axbuild-out' / file.stem)}", flush=True)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:])
    return done.returncode == 0


def lay_out(root: Path, file: Path, chips: list[tuple[str, str]], shapes: dict[str, list[int]], seed: int) -> None:
    """The package of one model: its file, two samples of every input, the BUILD file."""
    package = root / file.stem
    package.mkdir()
    model = randomised(onnx.load(file), seed)
    onnx.save(model, package / "model.onnx")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    rng = np.random.default_rng(seed)
    settled = {}
    for number, value in enumerate(inputs):
        tensor = value.type.tensor_type
        settled[value.name] = shapes.get(value.name, [max(1, dim.dim_value) for dim in tensor.shape.dim])
        folder = package / f"samples_{number}"
        folder.mkdir()
        for index in range(2):
            np.save(folder / f"{index}.npy", sample(rng, settled[value.name], tensor.elem_type))
    (package / "BUILD.toml").write_text(build_file(settled, chips))


def build(root: Path, package: str) -> subprocess.CompletedProcess[str]:
    """All targets of a package; its events stand beside it, one JSON object a line."""
    command = [str(AXBUILD), "build", f"//{package}:all", "--events", f"{root / package}.jsonl"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def subgraphs(outputs: Path) -> str:
    """Where the operators run on the first chip, in order."""
    for path in sorted(outputs.glob("*/compiler/partition.json"))[:1]:
        return ", ".join(subgraph["place"] for subgraph in json.loads(path.read_text())["subgraphs"])
    return ""


def sample(rng: np.random.Generator, shape: list[int], elem_type: int) -> np.ndarray:
    """Normal reals, in float32 as every model of reals is built; whole numbers from 0 to 63, as tables have rows."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(elem_type)
    values = rng.integers(0, 64, shape) if dtype.kind in "iu" else rng.normal(0, 1, shape)
    return values.astype(dtype if dtype.kind in "iub" else np.float32)


def build_file(inputs: dict[str, list[int]], chips: list[tuple[str, str]]) -> str:
    sets = ", ".join(f'"{name}" = ":samples_{index}"' for index, name in enumerate(inputs))
    shapes = ", ".join(f'"{name}" = {shape}' for name, shape in inputs.items())
    lines = [f'[[float_model]]\nname = "float"\nsrc = "model.onnx"\ninput_shapes = {{ {shapes} }}\n']
    for index in range(len(inputs)):
        lines.append(f'[[calibration_set]]\nname = "samples_{index}"\nsrc = "samples_{index}"\nformat = "Numpy"\n')
    lines.append(f'[[quant_model]]\nname = "quant"\nmodel = ":float"\ncalibration = {{ {sets} }}\n')
    for chip, mode in chips:
        name = f"{chip.lower()}_{mode.lower()}"
        lines.append(
            f'[[axmodel]]\nname = "{name}"\nquant = ":quant"\ntarget_hardware = "{chip}"\nnpu_mode = "{mode}"\n'
        )
        lines.append(f'[[check]]\nname = "{name}_equal"\naxmodel = ":{name}"\nlevel = "equal"\n')
    return "\n".join(lines)


def randomised(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The model with initialisers in place of the nodes that make constant weights."""
    graph, rng = model.graph, np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {name: (node, index) for node in graph.node for index, name in enumerate(node.input)}
    kept, made = [], []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in shapes:
            kept.append(node)
            continue
        shape = [int(size) for size in shapes[node.input[0]]]
        made.append(numpy_helper.from_array(values(rng, shape, *readers[node.output[0]]), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    used = {name for node in kept for name in node.input}
    for items in (graph.initializer, graph.input):
        for item in [item for item in items if item.name not in used]:
            items.remove(item)
    return model


def values(rng: np.random.Generator, shape: list[int], node: onnx.NodeProto, index: int) -> np.ndarray:
    """float32 as trained nets have them: He's scale for weights, small biases, gains and variances near 1."""
    if node.op_type == "BatchNormalization" and index in (1, 4):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) < 2:
        return rng.normal(0, 0.1, shape).astype(np.float32)
    return rng.normal(0, (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5, shape).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
