"""What quantising again costs after an edit: python benchmarks/requantise.py MODEL.onnx PICTURES [--samples 512]

MODEL takes one picture of three channels; PICTURES is a folder of photographs, of which the samples are cut at random.
Each row is a build of its own with what the builds before it left: which stages ran, its wall seconds, and the seconds
of CPU of all its processes. `--tune STEPS` adds rows of fine-tuning, on 32 of the samples, one of them of a run that is
killed half way. --write FILE puts the table between FILE's marks `<!-- requantise.py -->` and `<!-- end of
requantise.py -->`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image
from tables import put_into

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"
input_shapes = {{ {name} = {shape} }}

[[calibration_set]]
name = "calib"
src = "pictures/*.jpg"
size = -1
tensor_format = "RGB"
mean = [127.0]
std = [128.0]

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"

[[calibration_set]]
name = "few"
src = "pictures/*.jpg"
size = 32
tensor_format = "RGB"
mean = [127.0]
std = [128.0]

[[quant_model]]
name = "tuned"
model = ":float"
calibration = ":few"
enable_adaround = true
finetune_epochs = {steps}
"""


@dataclass(frozen=True)
class Row:
    """One build. ran: stage -> how many of its actions."""

    edit: str
    seconds: float
    cpu: float
    ran: Counter[str]

    def cells(self) -> str:
        stages = ", ".join(f"{count} {stage}" if count > 1 else stage for stage, count in self.ran.items())
        return f"| {self.edit} | {self.seconds:.1f} | {self.cpu:.1f} | {stages or 'nothing'} |"


class Clock:
    """Seconds since it was made: of the wall, and of the CPU of what was waited for."""

    def __init__(self) -> None:
        self.began, self.used = time.perf_counter(), _used()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.began, _used() - self.used


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Bench:
    """A workspace of one package; `settings`: lines of the quant_model."""

    def __init__(self, root: Path, model: Path, pictures: Path, samples: int, steps: int) -> None:
        self.root, self.events = root, root / "events.jsonl"
        (root / "m/pictures").mkdir(parents=True)
        (root / "axbuild.toml").touch()
        self.model = onnx.load(model)
        onnx.save(self.model, root / "m/net.onnx")
        port = self.model.graph.input[0]
        shape = [dim.dim_value or 1 for dim in port.type.tensor_type.shape.dim]
        self.text = BUILD.format(name=port.name, shape=shape, steps=steps)
        self.build_file(self.text)
        self.crops = crops(pictures, shape[-1])
        self.add(samples)

    def build_file(self, text: str) -> None:
        (self.root / "m/BUILD.toml").write_text(text, encoding="utf-8")

    def edited(self, old: str, new: str) -> None:
        assert old in self.text
        self.build_file(self.text.replace(old, new))

    def add(self, count: int) -> None:
        for number in range(count):
            picture = next(self.crops)
            picture.save(self.root / f"m/pictures/{time.time_ns()}_{number}.jpg", quality=90)

    def change_head(self) -> None:
        """Other weights in the last layer that has any."""
        held = {tensor.name: tensor for tensor in self.model.graph.initializer}
        names = [name for node in self.model.graph.node for name in node.input if name in held]
        last = next(held[name] for name in reversed(names) if len(held[name].dims) >= 2)
        last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last) * np.float32(1.25), last.name))
        onnx.save(self.model, self.root / "m/net.onnx")

    def start(self, target: str) -> subprocess.Popen[bytes]:
        self.events.unlink(missing_ok=True)
        command = [sys.executable, "-m", "axbuild.cli.entry", "build", target, "--quiet", "--events", str(self.events)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AXBUILD_")}
        return subprocess.Popen(command, cwd=self.root, env=clean, stdout=subprocess.DEVNULL)

    def row(self, edit: str, target: str = "//m:quant") -> Row:
        clock = Clock()
        code = self.start(target).wait()
        assert code == 0, f"{edit}: exit code {code}"
        return Row(edit, *clock.read(), Counter(stage for stage, _ in self.executed()))

    def executed(self) -> Iterator[tuple[str, str]]:
        """(stage, action) of all that ran, as far as it is known."""
        text = self.events.read_text(encoding="utf-8") if self.events.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            event = json.loads(line)
            if event["event"] == "action_finished" and event["status"] == "executed":
                yield event["stage"], event["action"]

    def killed_half_way(self) -> Row:
        """By SIGKILL, when half of the blocks are done."""
        clock = Clock()
        process = self.start("//m:tuned")
        plan: list[dict[str, object]] = []
        while not plan or Counter(stage for stage, _ in self.executed())["tune_block"] * 2 < len(plan):
            assert process.poll() is None
            time.sleep(0.05)
            plan = plan or self.blocks()
        process.kill()
        process.wait()
        ran = Counter(stage for stage, _ in self.executed())
        return Row("fine-tuning, killed half way", *clock.read(), ran)

    def blocks(self) -> list[dict[str, object]]:
        """The blocks that are tuned, once they are known."""
        for cut in self.outputs("cut"):
            blob = self.root / "cache/cas" / cut["blocks/"]["plan.json"][:2] / cut["blocks/"]["plan.json"]
            return [block for block in json.loads(blob.read_bytes())["blocks"] if block["tuned"]]
        return []

    def outputs(self, stage: str) -> Iterator[dict[str, dict[str, str]]]:
        text = self.events.read_text(encoding="utf-8") if self.events.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            event = json.loads(line)
            if event["event"] == "action_finished" and event["stage"] == stage:
                yield event["outputs"]


def crops(folder: Path, side: int) -> Iterator[Image.Image]:
    """Pictures without end, cut at random."""
    rng = np.random.default_rng(0)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    held = [Image.open(file).convert("RGB") for file in files]
    while True:
        picture = held[rng.integers(len(held))]
        size = int(min(picture.size) * rng.uniform(0.4, 1.0))
        left, top = (int(rng.integers(length - size + 1)) for length in picture.size)
        yield picture.crop((left, top, left + size, top + size)).resize((side, side))


def rows(bench: Bench, samples: int, *, tune: bool) -> Iterator[Row]:
    yield bench.row(f"first build, {samples} samples")
    yield bench.row("nothing")
    quant = 'calibration = ":calib"\n'
    bench.edited(quant, f'{quant}method = "MSE"\n')
    yield bench.row('`method = "MSE"`')
    bench.edited(quant, f'{quant}layer_configs = [{{ op_type = "Add", data_type = "U16" }}]\n')
    yield bench.row("a rule in `layer_configs`")
    bench.build_file(bench.text)
    bench.add(1)
    yield bench.row("1 sample added")
    bench.add(8)
    yield bench.row("8 samples added")
    bench.change_head()
    yield bench.row("weights of the last layer")
    if tune:
        yield from tuning(bench)


def tuning(bench: Bench) -> Iterator[Row]:
    yield bench.killed_half_way()
    yield bench.row("... and resumed", "//m:tuned")
    bench.edited("enable_adaround", 'layer_configs = [{ op_type = "Gemm", weight_data_type = "S16" }]\nenable_adaround')
    yield bench.row("other precision in the last block", "//m:tuned")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--tune", type=int, default=0, metavar="STEPS")
    parser.add_argument("--write", type=Path, help="a page to put the table into, between its marks")
    options = parser.parse_args()
    lines = ["| edit | seconds | CPU seconds | what ran |", "| --- | --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), options.model, options.pictures, options.samples, options.tune or 1)
        for row in rows(bench, options.samples, tune=bool(options.tune)):
            lines.append(row.cells())
            print(lines[-1], flush=True)
    if options.write:
        put_into(options.write, "requantise.py", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
