"""A workspace of stages that do all that stages should and should not do, and workers to run them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from axbuild.engine.code.closure import Code
from axbuild.engine.workers.local import StageBounds, StageRun, Workers
from axbuild.store.scratch import Scratches
from axbuild.workspace.stage import Stage

STAGES = """
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from axbuild.errors import AxError, AxWarning, Place

COUNT = []


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5


@dataclass(frozen=True)
class Params:
    text: str = ""
    number: int = 0
    points: tuple[Point, ...] = ()
    named: dict[str, tuple[int, ...]] = field(default_factory=dict)
    maybe: float | None = None


def say(out: Path, *, params: Params) -> None:
    (out / "o").write_text(params.text)


def show(a: Path, b: list[Path], out: Path, *, params: Params) -> None:
    texts = [a.read_text(), *(one.read_text() for one in b), repr(params)]
    (out / "o").write_text("|".join(texts))


def count(out: Path, *, params: Params) -> None:
    COUNT.append(1)
    sys.argv.append("leak")
    os.environ["LEAK"] = "x"
    (out / "o").write_text(f"{len(COUNT)} {sys.argv.count('leak')}")


def world(out: Path, *, params: Params) -> None:
    names = ["PATH", "TZ", "LC_ALL", "PYTHONHASHSEED", "OMP_NUM_THREADS", "SECRET"]
    lines = [f"{name}={os.environ.get(name)}" for name in names]
    lines += [os.environ["HOME"], os.environ["TMPDIR"], os.getcwd(), str(hash("x"))]
    (out / "o").write_text("\\n".join(lines))


def warn(out: Path, *, params: Params) -> None:
    for _ in range(2):
        warnings.warn(AxWarning("AX301", "careful"))
    warnings.warn("not ours", DeprecationWarning)
    (out / "o").write_text("")


def refuse(out: Path, *, params: Params) -> None:
    raise AxError("the model is bad", place=Place("m.onnx", 3), hint="mend it", code="AX906")


def crash(out: Path, *, params: Params) -> None:
    print("about to crash")
    inner()


def inner():
    raise ValueError("no good")


def leave(out: Path, *, params: Params) -> None:
    sys.exit("enough")


def vanish(out: Path, *, params: Params) -> None:
    os._exit(7)


def die(out: Path, *, params: Params) -> None:
    filler = b"x" * (64 << 20)
    os.kill(os.getpid(), params.number)


def sleep(out: Path, *, params: Params) -> None:
    (out / "o").write_text("")
    time.sleep(params.number)


def nothing(out: Path, *, params: Params) -> None:
    pass


def too_much(out: Path, *, params: Params) -> None:
    (out / "o").write_text("")
    (out / "surprise").write_text("")


def link(out: Path, *, params: Params) -> None:
    Path("target").write_text("")
    (out / "o").symlink_to("../target")


def reach(out: Path, *, params: Params) -> None:
    exec(params.text)
    (out / "o").write_text("")


def fill(out: Path, *, params: Params) -> None:
    kept = bytearray(os.urandom(4096)) * (params.number << 8)
    time.sleep(60)
    (out / "o").write_text(str(len(kept)))


def tree(out: Path, *, params: Params) -> None:
    (out / "t").mkdir()
    (out / "t" / "a").write_text("a")


def dynamic(out: Path, *, params: Params) -> None:
    import importlib

    importlib.import_module(params.text)
    (out / "o").write_text("")


def optional(out: Path, *, params: Params) -> None:
    import importlib.util

    (out / "o").write_text(str(importlib.util.find_spec("numpy")))


def no_params(out: Path) -> None:
    (out / "o").write_text("plain")


NOT_A_FUNCTION = 3
"""


class Bench:
    """A workspace with stages, and workers to run them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "rules").mkdir(parents=True)
        (root / "scratch").mkdir()
        self.scratches = Scratches(root / "scratch")
        self.write("stages", STAGES)
        self.code = Code(rules=root / "rules")
        self.workers = Workers(4, workspace=root, store=root / "cache")
        self.number = 0

    def write(self, name, text):
        (self.root / "rules" / f"{name}.py").write_text(textwrap.dedent(text))

    def job(self, function, params=None, *, inputs=None, bounds=None, outputs=("o",), **more):
        module, _, name = function.rpartition(":")
        ref = f"./{module or 'stages'}.py:{name}" if not module.startswith("axbuild.") else function
        stage = Stage(ref, outputs=outputs, **more)
        self.number += 1
        given = params or {}, inputs or {}, self.scratches.new("job"), bounds or StageBounds()
        return StageRun(str(self.number), stage, self.code.closure(stage), *given)

    def run(self, function, params=None, **more):
        job = self.job(function, params, **more)
        self.workers.submit(job)
        [outcome] = self.workers.wait(30)
        assert outcome.id == job.id
        self.scratch = job.scratch
        return outcome

    def text(self, function, params=None, **more):
        outcome = self.run(function, params, **more)
        assert outcome.ok, outcome
        return (self.scratch / "out" / "o").read_text()
