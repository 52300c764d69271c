"""Real networks under many schemes: the simulated chip beside the quantised model under onnxruntime, bit for bit.

    python tests/stress/equal.py WORK FOLDER [FOLDER ...] [--models NAMES] [--samples 4] [--seed 0] [--write FILE]

FOLDERs as benchmarks/quant.py and benchmarks/transformers.py take them. WORK becomes a workspace with a package for
each network, in which `axbuild build` quantises and compiles it under every scheme, and checks level equal on samples
that calibrated nothing, drawn by --seed: of a model with CPU subgraphs each NPU subgraph by itself. Prints a row for
every scheme and exits 1 where an element differs or a build fails. --write puts the table between FILE's marks
`<!-- equal.py -->` and `<!-- end of equal.py -->`. WORK may be used again: what is built stays built.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from tables import markdown, put_into

AXBUILD = [sys.executable, "-m", "axbuild.cli.entry"]
WHOLE = 'start_tensor_names = ["DEFAULT"], end_tensor_names = ["DEFAULT"]'
BOTH = {
    "MinMax": "",
    "Auto": 'method = "Auto"',
    "weights S4": f'layer_configs = [{{ {WHOLE}, weight_data_type = "S4" }}]',
}
CONVOLUTIONS = BOTH | {"Conv U16": 'layer_configs = [{ op_type = "Conv", data_type = "U16" }]'}
TRANSFORMERS = {
    f"{name}, level {level}": f"{line}\ntransformer_opt_level = {level}"
    for level in (0, 1, 2)
    for name, line in BOTH.items()
    if level == 1 or name != "weights S4"
} | {"Softmax and normalisations U16": 'layer_configs = [{ op_types = ["Softmax", "LayerNorm"], data_type = "U16" }]'}
HEADS = ("network", "scheme", "NPU subgraphs", "samples", "elements", "differing")
Feeds = Mapping[str, list[np.ndarray]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--models", default="", help="names; all by default")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    wanted = options.models.split(",") if options.models else []
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "axbuild.toml").touch()
    rows: list[tuple[object, ...]] = []
    for name, model, data in networks(options.folders):
        if not wanted or name in wanted:
            schemes = TRANSFORMERS if model.name == "model.onnx" else CONVOLUTIONS
            lay_out(options.work / name, model, data, schemes, options)
            for row in outcome(options.work, name, schemes):
                rows.append(row)
                print(" | ".join(map(str, row)), flush=True)
    if options.write:
        put_into(options.write, "equal.py", markdown(HEADS, rows))
    return 0 if all(row[-1] == 0 for row in rows) else 1


def networks(folders: list[Path]) -> Iterator[tuple[str, Path, dict[str, Feeds]]]:
    """Name, model, and of `calibration` and `evaluation` the samples of each input."""
    for folder in folders:
        for data in sorted(folder.glob("data/*.npz")):
            if (model := folder / "models" / f"{data.stem}.onnx").exists():
                with np.load(data, allow_pickle=False) as arrays:
                    held = (("calibration", arrays["calib"]), ("evaluation", arrays["eval"]))
                    yield data.stem, model, {part: {"DEFAULT": [x[np.newaxis] for x in xs]} for part, xs in held}
        for model in sorted(folder.glob("*/model.onnx")):
            parts = {part: sorted((model.parent / part).iterdir()) for part in ("calibration", "evaluation")}
            yield (
                model.parent.name,
                model,
                {
                    part: {port.name: [np.load(file) for file in sorted(port.iterdir())] for port in ports}
                    for part, ports in parts.items()
                },
            )


def lay_out(
    package: Path, model: Path, data: Mapping[str, Feeds], schemes: Mapping[str, str], options: argparse.Namespace
) -> None:
    """The package of one network: its file, its samples, the BUILD file."""
    package.mkdir(exist_ok=True)
    shutil.copyfile(model, package / "model.onnx")
    evaluation = data["evaluation"]
    count = len(next(iter(evaluation.values())))
    drawn = sorted(np.random.default_rng(options.seed).permutation(count)[: options.samples].tolist())
    parts = {
        "calibration": data["calibration"],
        "evaluation": {port: [held[place] for place in drawn] for port, held in evaluation.items()},
    }
    for part, feeds in parts.items():
        for index, held in enumerate(feeds.values()):
            folder = package / f"{part}_{index}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for number, sample in enumerate(held):
                np.save(folder / f"{number:03}.npy", sample)
    shapes = {port: list(held[0].shape) for port, held in evaluation.items() if port != "DEFAULT"}
    (package / "BUILD.toml").write_text(build_file(list(evaluation), shapes, schemes), encoding="utf-8")


def build_file(ports: list[str], shapes: Mapping[str, list[int]], schemes: Mapping[str, str]) -> str:
    stated = ", ".join(f'"{port}" = {shape}' for port, shape in shapes.items())
    blocks = ['[[float_model]]\nname = "float"\nsrc = "model.onnx"' + f"\ninput_shapes = {{ {stated} }}" * bool(stated)]
    named: dict[str, str] = {}
    for part in ("calibration", "evaluation"):
        for index in range(len(ports)):
            blocks.append(
                f'[[calibration_set]]\nname = "{part}_{index}"\nsrc = "{part}_{index}"\nformat = "Numpy"\nsize = -1'
            )
        named[part] = ", ".join(f'"{port}" = ":{part}_{index}"' for index, port in enumerate(ports))
    for number, lines in enumerate(schemes.values()):
        blocks += [
            f'[[quant_model]]\nname = "quant_{number}"\nmodel = ":float"\n'
            f"calibration = {{ {named['calibration']} }}\n{lines}",
            f'[[axmodel]]\nname = "axmodel_{number}"\nquant = ":quant_{number}"',
            f'[[check]]\nname = "equal_{number}"\naxmodel = ":axmodel_{number}"\nlevel = "equal"\n'
            f"samples = {{ {named['evaluation']} }}",
        ]
    return "\n\n".join(blocks) + "\n"


def outcome(work: Path, name: str, schemes: Iterable[str]) -> Iterator[tuple[object, ...]]:
    """Rows, of which the last cell is the number of differing elements, or that the build failed."""
    for number, scheme in enumerate(schemes):
        targets = [f"//{name}:{target}_{number}" for target in ("equal", "axmodel")]
        done = subprocess.run([*AXBUILD, "build", *targets], cwd=work, capture_output=True, text=True)
        folder = work / "axbuild-out" / name
        verdict = folder / f"equal_{number}" / "verdict.json"
        if done.returncode or not verdict.exists():
            print(done.stdout[-2000:], done.stderr[-2000:])
            yield name, scheme, "", "", "", "build failed"
            continue
        found = json.loads(verdict.read_text())
        places = json.loads((folder / f"axmodel_{number}" / "compiler" / "partition.json").read_text())["subgraphs"]
        npu = sum(place["place"] == "NPU" for place in places)
        yield name, scheme, npu, found["samples"], f"{found['elements']:,}", found["differing"]


if __name__ == "__main__":
    sys.exit(main())
