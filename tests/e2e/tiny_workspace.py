"""A workspace of tiny stages, driven through the command line in processes of its own.

Its rules are a workspace's own: `text` strips comments from a file, `shout` upper-cases it, `joined` puts parts
together, `letters` is an expansion with one child a word, `limit` a check. Each stage is a module of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RULES = '''
from axbuild.workspace.providers import Files, Verdict
from axbuild.workspace.rule import Int, Label, Labels, Source, Stage, String, rule

STRIP = Stage("./strip_stages.py:strip", outputs=("text",))
SHOUT = Stage("./shout_stages.py:shout", outputs=("text",))
JOIN = Stage("./join_stages.py:join", outputs=("text",), float=True)
SPLIT = Stage("./split_stages.py:split", expands=True)
LOOK = Stage("./look_stages.py:look", outputs=("seen.json",))
MEASURE = Stage("./measure_stages.py:measure", outputs=("verdict.json",))


@rule
class text:
    """A text without its comments."""

    gives = Files
    src = Source("The file.", one_file=True, required=True)

    def actions(self, t, plan):
        done = plan.run(STRIP, text=t.src)
        plan.output("text", done)
        return Files(done.only)


@rule
class shout:
    """A text in capitals, with a mark behind it."""

    gives = Files
    of = Label("The text.", provides=Files, required=True)
    mark = String("What stands at the end.", default="!")

    def actions(self, t, plan):
        done = plan.run(SHOUT, text=t.of.files, params=t.only("mark"))
        plan.output("text", done)
        return Files(done.only)


@rule
class joined:
    """Texts in a row."""

    gives = Files
    parts = Labels("The texts.", provides=Files, required=True)

    def actions(self, t, plan):
        parts = [part.files for part in t.parts]
        plan.preflight(LOOK, parts=parts)
        done = plan.run(JOIN, parts=parts)
        plan.output("text", done)
        return Files(done.only)


@rule
class letters:
    """Every word of a text in capitals, a file each."""

    gives = Files
    of = Label("The text.", provides=Files, required=True)

    def actions(self, t, plan):
        split = plan.expand(SPLIT, text=t.of.files)
        plan.output("words/", split.result)
        return Files(split.result)


@rule
class limit:
    """A check: the text has at most so many letters."""

    gives = Verdict
    of = Label("The text.", provides=Files, required=True)
    most = Int("Letters.", default=10)

    def actions(self, t, plan):
        done = plan.run(MEASURE, text=t.of.files, params=t.only("most"))
        plan.verdict(done)
        return Verdict(done.only)
'''

STAGES = {
    "strip": """
import warnings
from pathlib import Path

from axbuild.errors import AxWarning


def strip(text: Path, out: Path) -> None:
    lines = text.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    if any("odd" in line for line in kept):
        warnings.warn(AxWarning("AX300", "the text is odd"), stacklevel=1)
    (out / "text").write_text("\\n".join(kept))
""",
    "shout": """
from dataclasses import dataclass
from pathlib import Path

from axbuild.errors import AxError


@dataclass(frozen=True)
class ShoutParams:
    mark: str


class TooQuiet(AxError):
    code = "AX300"


def shout(text: Path, out: Path, *, params: ShoutParams) -> None:
    words = text.read_text()
    if "quiet" in words:
        raise TooQuiet("the word 'quiet' cannot be shouted", hint="take another word")
    (out / "text").write_text(words.upper() + params.mark)
""",
    "join": """
from pathlib import Path


def join(parts: list[Path], out: Path) -> None:
    (out / "text").write_text(" ".join(part.read_text() for part in parts))
""",
    "split": """
import json
from pathlib import Path


def split(text: Path, out: Path) -> None:
    words = sorted(set(text.read_text().split()))
    one = {"stage": "./shout_stages.py:shout", "inputs": {"text": "input:text"}}
    children = [{"name": word, "params": {"mark": word}, **one} for word in words]
    result = {f"{word}.txt": f"child:{word}/text" for word in words}
    (out / "expansion.json").write_text(json.dumps({"children": children, "result": result}))
""",
    "look": """
from pathlib import Path

from axbuild.errors import AxError


class Ugly(AxError):
    code = "AX300"


def look(parts: list[Path], out: Path) -> None:
    for part in parts:
        if "ugly" in part.read_text():
            raise Ugly("an ugly word")
    (out / "seen.json").write_text("{}")
""",
    "measure": """
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MeasureParams:
    most: int


def measure(text: Path, out: Path, *, params: MeasureParams) -> None:
    found = len(text.read_text())
    sentence = f"{found} letters, limit {params.most}"
    (out / "verdict.json").write_text(json.dumps({"passed": found <= params.most, "sentence": sentence}))
""",
}

BUILD = """
[[text]]
name = "a"
src = "a.txt"

[[text]]
name = "b"
src = "b.txt"

[[shout]]
name = "loud"
of = ":a"

[[joined]]
name = "both"
parts = [":loud", ":b"]

[[letters]]
name = "words"
of = ":b"

[[limit]]
name = "short"
of = ":both"
most = 40
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, what it printed, and the events it wrote."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def executed(self) -> list[str]:
        return [e["stage"] for e in self.of("action_finished") if e["status"] == "executed"]

    @property
    def statuses(self) -> dict[str, str]:
        return {f"{e['label']} {e['action']}": e["status"] for e in self.of("action_finished")}

    @property
    def reasons(self) -> dict[str, str]:
        """By stage, where only one action of it tells one, and by "label action"."""
        finished = self.of("action_finished")
        return {e["stage"]: e["reason"] for e in finished} | {
            f"{e['label']} {e['action']}": e["reason"] for e in finished
        }


class Tiny:
    """The workspace in `root`, with the store in its own `cache` folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("axbuild.toml", "")
        self.write("rules/tiny.py", RULES)
        for name, text in STAGES.items():
            self.write(f"rules/{name}_stages.py", text)
        self.write("p/BUILD.toml", BUILD)
        self.write("p/a.txt", "# first\nhello")
        self.write("p/b.txt", "my world")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new))

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def start(self, *arguments: str, cwd: str = "", **environment: str) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AXBUILD_")}
        return subprocess.Popen(
            [sys.executable, "-m", "axbuild.cli.entry", *arguments],
            cwd=self.root / cwd,
            env=clean | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )

    def run(self, *arguments: str, cwd: str = "", **environment: str) -> Outcome:
        events = self.root.parent / f"{self.root.name}.jsonl"
        events.unlink(missing_ok=True)
        flags = ["--events", str(events)] if arguments[:1] in (("build",), ("test",)) else []
        process = self.start(*arguments, *flags, cwd=cwd, **environment)
        out, err = process.communicate(timeout=60)
        lines = events.read_text().splitlines() if events.exists() else []
        return Outcome(process.returncode, out, err, [json.loads(line) for line in lines])

    def build(self, *targets: str, **settings: Any) -> Outcome:
        return self.run("build", *(targets or ("//p:both",)), **settings)

    def why(self, *targets: str) -> str:
        done = self.run("why", *(targets or ("//p:both",)))
        assert done.code == 0, done.err
        return done.out
