"""`pulsar2 run` on models of every sort, and raw files as a user has them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from npu_world import CHIPS

from axbuild.toolchain.pulsar2.run_schema import RunConfig
from axbuild.toolchain.pulsar2.simulate import simulate
from axmodel_world import build
from frontend_world import model, node, normal
from shape_world import Groups, two_groups

OWN, OTHER = (1, 3, 12, 12), (1, 3, 16, 20)


def net(shape=OWN):
    """Names as exporters write them, and LogSoftmax, which AX620E has not."""
    return model(
        [
            node("Conv", ["in:put", "w1", "b1"], ["c"], name="conv", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["m/relu"], name="relu"),
            node("Conv", ["m/relu", "w2", "b2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
            node("Add", ["c2", "m/relu"], ["s"], name="add"),
            node("GlobalAveragePool", ["s"], ["g"], name="gap"),
            node("Flatten", ["g"], ["f"], name="flatten"),
            node("Gemm", ["f", "w3", "b3"], ["logits"], name="fc", transB=1),
            node("LogSoftmax", ["logits"], ["/head/y"], name="likelihood"),
        ],
        {
            **{"w1": normal(8, 3, 3, 3), "b1": normal(8), "w2": normal(8, 8, 3, 3), "b2": normal(8, 1)[:, 0]},
            **{"w3": normal(10, 8), "b3": normal(10)},
        },
        inputs=(("in:put", list(shape)),),
        outputs=("/head/y", "m/relu"),
    )


def reals(shape=OWN, count=1, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape[1:])).astype(np.float32)


@dataclass(frozen=True)
class Models:
    """pictures: U8 NHWC at batches 1, 2 and 4; mixed: on the CPU too; groups: `net` at two shapes; other: quantised
    at the second one; quantised, floats: `net`, as a build lays them out."""

    pictures: Path
    mixed: Path
    groups: Path
    other: Path
    quantised: Path
    floats: Path


def models(folder: Path) -> Models:
    (folder / "pictures.axmodel").write_bytes(build(folder / "npu"))
    (folder / "mixed.axmodel").write_bytes(build(folder / "mixed", on_cpu=True))
    made: Groups = two_groups(net(), _room(folder, "net"), {"in:put": [reals()] * 2}, {"in:put": OTHER}, batches=(1, 2))
    shutil.copytree(made.own.folder / "float/out/optimized", folder / "out/frontend")
    shutil.copytree(made.own.folder / "quant", folder / "out/quant")
    return Models(
        folder / "pictures.axmodel",
        folder / "mixed.axmodel",
        made.axmodel,
        made.quant,
        folder / "out/quant/quant_axmodel.onnx",
        folder / "out/frontend/optimized.onnx",
    )


def _room(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def run(model: Path | str, **settings) -> None:
    """In the current folder, from "in" to "out" where nothing else is said."""
    folders = {"input_dir": "in", "output_dir": "out"}
    simulate(RunConfig(model=str(model), **(folders | settings)), CHIPS)


def write(path: str, array: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(array.tobytes())


def tree(folder: str | Path = ".") -> dict[str, bytes]:
    """Every file below, by its path."""
    top = Path(folder)
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}
