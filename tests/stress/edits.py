"""Edits a small zoo at random, builds it, and compares every byte with a build from nothing.

    python tests/stress/edits.py --rounds 100 --seed 1

Each round makes one edit that design and guide promise something about (or damages outputs or the store), builds
everything with what earlier rounds left, and asks: did nothing run that the edit cannot change; does a second build
run nothing; are the outputs those of the same sources in another folder with an empty store. Exit code 1 where not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

QUANTISATION = {"optimize", "decode", "spread", "observe", "quantize"}
COMPARISON = {"compare"}
EVERYTHING = QUANTISATION | COMPARISON | {
    "preflight", "partition", "split", "compile_subgraph", "fuse", "simulate", "reference",
}  # fmt: skip
SIDE = 8

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "pictures/*.png"
size = {size}
mean = [{mean}]
std = [64.0]

[[quant_model]]
name = "quant"
model = ":float"
calibration = "//{package}:calib"

[[axmodel]]
name = "one"
quant = ":quant"
npu_mode = "{mode}"
static_batch_sizes = {batches}
ddr_bw_limit = {bandwidth}
input_processors = [{{ src_dtype = "{dtype}", src_layout = "{layout}" }}]

[[axmodel]]
name = "other"
quant = ":quant"
npu_mode = "NPU3"

[[check]]
name = "check"
axmodel = ":one"
level = "{level}"
{rtol}
"""


@dataclass
class Sources:
    """What the workspace says; `write` makes its files of it, the same for the same values."""

    package: str = "net"
    size: int = 6
    mean: float = 127.5
    mode: str = "NPU1"
    batches: list[int] = field(default_factory=lambda: [1])
    bandwidth: float = 0.0
    dtype: str = "U8"
    layout: str = "NHWC"
    level: str = "close"
    rtol: float = 1e-5
    comments: int = 0
    weights: int = 0
    pictures: dict[str, int] = field(default_factory=lambda: {f"p{i}": i for i in range(6)})

    def write(self, root: Path) -> None:
        """Write what differs from what stands there, and remove every other file."""
        files = {"axbuild.toml": b"", f"{self.package}/BUILD.toml": self._build().encode()}
        files[f"{self.package}/net.onnx"] = network(self.weights)
        files |= {f"{self.package}/pictures/{name}.png": picture(seed) for name, seed in self.pictures.items()}
        for path in [path for path in root.rglob("*") if path.is_file()]:
            name = path.relative_to(root).as_posix()
            if not name.startswith(("cache/", "axbuild-out/")) and name not in files:
                path.unlink()
        for name, data in files.items():
            path = root / name
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def _build(self) -> str:
        rtol = f"rtol = {self.rtol}" if self.level == "close" else ""
        return "# a comment\n" * self.comments + BUILD.format(**{**vars(self), "rtol": rtol})


def network(seed: int) -> bytes:
    rng = np.random.default_rng(seed)

    def constant(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.4, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["c1"], "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "r1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], "c2", kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["c2"], ["g"], "g"),
        helper.make_node("Flatten", ["g"], ["logits"], "flat"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5])],
        [constant("w1", 8, 3, 3, 3), constant("w2", 5, 8, 1, 1)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)


def picture(seed: int) -> bytes:
    from io import BytesIO

    out = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True)
class Built:
    """executed: stage of each action that ran; names: its action's name."""

    code: int
    executed: list[str]
    names: list[str]
    text: str


def build(root: Path) -> Built:
    """Build everything in `root`, whose store is the folder `cache` in it."""
    log = root.parent / f"{root.name}.jsonl"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AXBUILD_")}
    done = subprocess.run(
        [sys.executable, "-m", "axbuild.cli.entry", "build", "//...", "--events", str(log)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    events = [json.loads(line) for line in log.read_text().splitlines()]
    ran = [event for event in events if event["event"] == "action_finished" and event["status"] == "executed"]
    return Built(done.returncode, [e["stage"] for e in ran], [e["action"] for e in ran], done.stdout + done.stderr)


def outputs(root: Path) -> dict[str, bytes]:
    folder = root / "axbuild-out"
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in named.items() if not name.startswith(".axbuild/")}


class World:
    """The workspace under edit; `forbidden` stages of an edit are those that it promises not to run."""

    def __init__(self, folder: Path, pick: random.Random) -> None:
        self.root, self.scratch = folder / "edited", folder / "scratch"
        self.pick = pick
        self.sources = Sources()
        self.root.mkdir()
        self.sources.write(self.root)

    def edits(self) -> dict[str, tuple[Callable[[], None], set[str]]]:
        s, pick = self.sources, self.pick
        chip = QUANTISATION | {"reference"}
        return {
            "nothing": (lambda: None, EVERYTHING),
            "comment": (lambda: _set(s, comments=s.comments + 1), EVERYTHING),
            "touch": (self._touch, EVERYTHING),
            "move": (lambda: _set(s, package=pick.choice(["net", "nets/a", "b"])), EVERYTHING),
            "rtol": (lambda: _set(s, rtol=pick.choice([1e-5, 1e-4, 1e-3])), EVERYTHING - COMPARISON),
            "level": (lambda: _set(s, level=pick.choice(["close", "equal", "cosine"])), EVERYTHING - COMPARISON),
            "mode": (lambda: _set(s, mode=pick.choice(["NPU1", "NPU2"])), chip),
            "bandwidth": (lambda: _set(s, bandwidth=pick.choice([0.0, 1.5, 4.0])), chip),
            "batches": (lambda: _set(s, batches=sorted(pick.sample([1, 2, 3, 4], 2))), chip | {"partition"}),
            "input": (self._input, QUANTISATION),
            "weights": (lambda: _set(s, weights=pick.randrange(4)), {"decode"}),
            "size": (lambda: _set(s, size=pick.choice([3, 5, 6])), {"optimize", "preflight"}),
            "mean": (lambda: _set(s, mean=pick.choice([127.5, 100.0])), {"optimize", "decode"}),
            "picture": (self._picture, {"optimize", "preflight"}),
            "lost outputs": (self._lose_outputs, EVERYTHING),
            "lost blobs": (self._lose_blobs, set()),
        }

    def _touch(self) -> None:
        for path in self.root.glob(f"{self.sources.package}/**/*"):
            path.touch()

    def _input(self) -> None:
        _set(self.sources, dtype=self.pick.choice(["U8", "FP32"]), layout=self.pick.choice(["NHWC", "NCHW"]))

    def _picture(self) -> None:
        """Replace, add or remove one; one at least stays."""
        pictures = self.sources.pictures
        name = f"p{self.pick.randrange(8)}"
        if name in pictures and len(pictures) > 1 and self.pick.random() < 0.5:
            del pictures[name]
        else:
            pictures[name] = self.pick.randrange(100)

    def _lose_outputs(self) -> None:
        for path in sorted((self.root / "axbuild-out").rglob("*.*")):
            if path.is_file() and ".axbuild" not in path.parts and self.pick.random() < 0.4:
                path.unlink() if self.pick.random() < 0.5 else path.write_bytes(b"garbled")

    def _lose_blobs(self) -> None:
        for path in sorted((self.root / "cache/cas").glob("??/" + "?" * 64)):
            if self.pick.random() < 0.1:
                path.chmod(0o644)
                path.unlink() if self.pick.random() < 0.5 else path.write_bytes(b"garbled")

    def round(self) -> tuple[str, list[str]]:
        """One edit and its builds; its name, and what was wrong."""
        before = list(self.sources.batches)
        name = self.pick.choice(list(self.edits()))
        edit, forbidden = self.edits()[name]
        edit()
        self.sources.write(self.root)
        built = build(self.root)
        wrong = [] if built.code == 0 else [f"exit code {built.code}:\n{built.text}"]
        if ran := forbidden & set(built.executed):
            wrong.append(f"{', '.join(sorted(ran))} ran")
        if name == "batches":
            again = [one for one in built.names for batch in before if one.endswith(f"/compile_0_b{batch}")]
            wrong += [f"{one} ran again" for one in again]
        if again := build(self.root).executed:
            wrong.append(f"a second build ran {', '.join(again)}")
        wrong += self.differences()
        if name == "lost blobs":
            # What nobody read again is still damaged, and would excuse later rounds for what they run.
            shutil.rmtree(self.root / "cache")
            build(self.root)
        return name, wrong

    def differences(self) -> list[str]:
        """Outputs that are not those of the same sources in another folder with an empty store."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        self.sources.write(self.scratch)
        fresh = build(self.scratch)
        if fresh.code:
            return [f"from nothing: exit code {fresh.code}:\n{fresh.text}"]
        package = f"{self.sources.package}/"
        ours = {name: data for name, data in outputs(self.root).items() if name.startswith(package)}
        theirs = outputs(self.scratch)
        names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        return [f"{name} is not what a build from nothing makes" for name in names]


def _set(sources: Sources, **values: object) -> None:
    for name, value in values.items():
        setattr(sources, name, value)


def run(rounds: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How often each edit was made, and everything that was wrong."""
    world = World(folder, random.Random(seed))
    first = build(world.root)
    wrong = [] if first.code == 0 else [first.text]
    made: Counter[str] = Counter()
    for number in range(rounds):
        name, found = world.round()
        made[name] += 1
        wrong += [f"round {number}, {name}: {what}" for what in found]
    return made, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, wrong = run(arguments.rounds, arguments.seed, Path(folder))
    print("\n".join([*wrong, f"{sum(made.values())} rounds: " + ", ".join(f"{made[n]} {n}" for n in sorted(made))]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
