"""The folder of a user in which mistakes are made, what a mistake is, and how the parts of one are written."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from broken_models import model, node

Make = Callable[[Path], object]

BUILD = "pulsar2 build --config config.json --output_dir new"
SHAPE = (1, 3, 8, 8)


@dataclass(frozen=True)
class Mistake:
    """told: what stands in stderr, the code in front; make: what is done to the folder first; command: words."""

    told: str
    make: Make | None = None
    command: tuple[str, ...] = tuple(BUILD.split())


def flags(told: str, *more: str) -> Mistake:
    """A build with more flags."""
    return Mistake(told, command=(*BUILD.split(), *more))


def asked(told: str, command: str, make: Make | None = None) -> Mistake:
    return Mistake(told, make, tuple(command.split()))


def net() -> onnx.ModelProto:
    """x [1, 3, 8, 8] -> y [1, 2, 8, 8]: Conv, Relu, Conv."""
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(size=shape, scale=0.3).astype(np.float32)
        for name, shape in (("w", (4, 3, 3, 3)), ("v", (2, 4, 1, 1)))
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv", pads=[1] * 4),
        node("Relu", ["c"], ["r"], name="act"),
        node("Conv", ["r", "v"], ["y"], name="head"),
    ]
    return model(nodes, weights)


def net_of_two() -> onnx.ModelProto:
    """The same with a second input z [1, 2, 8, 8], which is added."""
    proto = net()
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2, 8, 8]))
    proto.graph.node[-1].output[0] = "q"
    proto.graph.node.append(node("Add", ["q", "z"], ["y"], name="add"))
    return proto


def config(dataset: str = "samples", form: str = "Numpy", tensor: str = "DEFAULT", **more: Any) -> str:
    entry = {"tensor_name": tensor, "calibration_dataset": dataset, "calibration_format": form}
    quant = {"input_configs": [entry], **more.pop("quant", {})}
    return json.dumps({"input": "net.onnx", "quant": quant, **more}, indent=1)


def written(name: str, content: str | bytes) -> Make:
    data = content.encode() if isinstance(content, str) else content

    def make(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)

    return make


def configured(*args: str, **more: Any) -> Make:
    """config.json with other settings."""
    return written("config.json", config(*args, **more))


def both(*makes: Make) -> Make:
    def make(root: Path) -> None:
        for one in makes:
            one(root)

    return make


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def zeros(*shape: int, dtype: Any = np.float32) -> bytes:
    return npy(np.zeros(shape or SHAPE, dtype))


def start(root: Path) -> None:
    """What every mistake begins with; it builds."""
    root.mkdir()
    onnx.save(net(), root / "net.onnx")
    onnx.save(net_of_two(), root / "two.onnx")
    rng = np.random.default_rng(1)
    for number in range(3):
        written(f"samples/{number}.npy", npy(rng.normal(size=SHAPE).astype(np.float32)))(root)
    written("in/x.bin", bytes(4 * 3 * 8 * 8))(root)
    written("config.json", config())(root)
    written("workspace/axbuild.toml", "")(root)
    package = root / "workspace/p"
    shutil.copytree(root / "samples", package / "samples")
    for name in ("net.onnx", "config.json"):
        shutil.copy(root / name, package / name)
    written("BUILD.toml", '[[pulsar2_build]]\nname = "m"\nconfig = "config.json"\n')(package)


def tree(root: Path) -> Mapping[str, tuple[object, ...]]:
    """Everything below: its mode, when it was changed, and its bytes."""
    found = {}
    for path in root.rglob("*"):
        seen = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[path.relative_to(root).as_posix()] = (seen.st_mode, seen.st_mtime_ns, content)
    return found
