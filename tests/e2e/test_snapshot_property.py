"""The snapshot's answer is the full path's answer, after whatever was edited.

Two workspaces live through the same edits: one answers from its snapshot where it can, the other never has one. After
each sequence both are built, and whatever a user can see must agree: exit code, what ran, counts, files, warnings,
verdicts and errors. Everything happens in this process, stages included, so that hundreds of sequences take seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from axbuild.cli import app
from axbuild.cli.keeping import add_texts_for_programs
from axbuild.engine import build as engine
from axbuild.engine.noop import snapshot
from axbuild.engine.noop.edits import settle
from axbuild.engine.noop.partial import part_of
from axbuild.engine.workers.local import StageOutcome, StageRun
from axbuild.engine.workers.params import params_of
from axbuild.errors import AxError, AxWarning
from axbuild.store import statcache
from tiny_workspace import BUILD, RULES, STAGES

SEQUENCES = 600
SHARDS = 4

MORE_RULES = """
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Source, Stage, rule

PILE = Stage("./pile_stages.py:pile", outputs=("text",))


@rule
class pile:
    \"\"\"Files in a heap, each with its name.\"\"\"

    gives = Files
    srcs = Source("The files.", required=True)

    def actions(self, t, plan):
        done = plan.run(PILE, files=t.srcs)
        plan.output("text", done)
        return Files(done.only)
"""
PILE = """
from pathlib import Path


def pile(files: Path, out: Path) -> None:
    names = sorted(path for path in files.rglob("*") if path.is_file()) if files.is_dir() else [files]
    (out / "text").write_text(" ".join(f"{path.name}={path.read_text()}" for path in names))
"""
MORE_BUILD = """
[[pile]]
name = "heap"
srcs = "**/*.txt"
"""
WORDS = ("hello", "world", "odd", "quiet", "ugly", "# note", "a b c", "long enough to break the limit of forty letters")


class InlineWorkers:
    """The workers' interface, with the stage called at once in this process."""

    def __init__(self, jobs: int, **_folders: Any) -> None:
        self.done: list[StageOutcome] = []

    def warm(self) -> None:
        """There is nothing to start."""

    def submit(self, job: StageRun, alone: bool = False) -> None:
        path, _ = job.closure.modules[job.closure.module]
        space: dict[str, Any] = {"__name__": job.closure.module}
        exec(compile(Path(path).read_text(), path, "exec", dont_inherit=True), space)
        error = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                stage = space[job.stage.function]
                inputs = {
                    role: Path(value) if isinstance(value, str) else [Path(one) for one in value]
                    for role, value in job.inputs.items()
                }
                stage(**inputs, out=job.scratch / "out", **_params(stage, job.params))
            except AxError as raised:
                error = raised.record()
        said = [one.message for one in caught if isinstance(one.message, AxWarning)]
        told = tuple({"code": one.code, "sentence": one.sentence} for one in said)
        self.done.append(StageOutcome(job.id, error is None, error, told))

    def wait(self, timeout: float | None = None) -> list[StageOutcome]:
        done, self.done = self.done, []
        return done

    def __enter__(self) -> InlineWorkers:
        return self

    def __exit__(self, *_error: object) -> None:
        self.done.clear()


def _params(stage: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    stage.__globals__.setdefault("__builtins__", __builtins__)
    return params_of(stage, values)


@dataclass
class Twin:
    """One of the two workspaces; `taken` counts which way its builds went."""

    root: Path
    snapshots: bool
    taken: Counter[str] = field(default_factory=Counter)

    def create(self) -> None:
        self.write("axbuild.toml", "")
        self.write("rules/tiny.py", RULES)
        self.write("rules/more.py", MORE_RULES)
        for name, text in (STAGES | {"pile": PILE}).items():
            self.write(f"rules/{name}_stages.py", text)
        self.write("p/BUILD.toml", BUILD)
        self.write("q/BUILD.toml", MORE_BUILD)
        for name, text in {
            "p/a.txt": "# first\nhello",
            "p/b.txt": "my world",
            "q/one.txt": "1",
            "q/two.txt": "2",
        }.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self, arguments: list[str]) -> dict[str, Any]:
        """What a user could see of a build."""
        events = self.root.parent / f"{self.root.name}.jsonl"
        events.unlink(missing_ok=True)
        os.chdir(self.root)
        command = [*arguments, "--jobs", "1", "--events", str(events)]
        out = io.StringIO()
        found = snapshot.look(command) if self.snapshots else None
        if found is not None and (way := _way(found)):
            self.taken[way] += 1
            if found.lacks_texts:
                add_texts_for_programs(found)
            code = snapshot.answer(found)
        else:
            part = part_of(found) if found else None
            self.taken["full" if part is None else "laid out in part" if part.edits else "partial"] += 1
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = app.run(command, found)
            assert "Traceback" not in out.getvalue(), out.getvalue()
        lines = events.read_text().splitlines() if events.exists() else []
        return {"exit code": code, "out": self.files()} | _seen([json.loads(line) for line in lines])

    def files(self) -> dict[str, str]:
        out = self.root / "axbuild-out"
        paths = (path for path in sorted(out.rglob("*")) if path.is_file() and ".axbuild" not in path.parts)
        return {path.relative_to(out).as_posix(): path.read_text() for path in paths}


def _way(found: snapshot.Found) -> str:
    """How the snapshot comes to its answer, "" where it does not."""
    if found.is_answer:
        return "answer"
    return "settled" if found.changed and settle(found) else ""


def _seen(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The part of an event stream that must be the same whichever way the answer was found."""
    finished = [event for event in events if event["event"] == "action_finished"]
    end = events[-1] if events else {"counts": Counter(), "outputs": {}, "errors": []}
    # After an edit that was taken back, what a failed build or another request had touched in between is "cached" to
    # the full path and still "up_to_date" to the snapshot: reused in either case.
    reused = ("cached", "up_to_date")
    return {
        "ran": sorted(f"{e['label']} {e['action']} {e['status']}" for e in finished if e["status"] not in reused),
        "counts": {name: count for name, count in end["counts"].items() if name not in reused},
        "reused": sum(end["counts"].get(name, 0) for name in reused),
        "outputs": end["outputs"],
        "errors": end["errors"],
        "warnings": sorted(
            f"{e['label']} {e['action']} {e['code']} {e['sentence']}" for e in events if e["event"] == "diagnostic"
        ),
        "tests": sorted(f"{e['label']} {e['passed']} {e['sentence']}" for e in events if e["event"] == "test_result"),
    }


# -- edits: each takes a source of chance and gives a name and what to do to a workspace's root ------------------------

Edit = tuple[str, Callable[[Path], None]]


def _write(name: str, text: str) -> Edit:
    def do(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    return f"write {name} {text[:30]!r}", do


def edit_source(chance: random.Random) -> Edit:
    name = chance.choice(("p/a.txt", "p/a.txt", "p/b.txt", "q/one.txt", "q/two.txt"))
    return _write(name, "\n".join(chance.sample(WORDS, chance.randint(1, 3))))


def rename_in(chance: random.Random) -> Edit:
    name, text = chance.choice(("p/a.txt", "q/one.txt")), chance.choice(WORDS)

    def do(root: Path) -> None:
        (root / "fresh").write_text(text)
        (root / "fresh").replace(root / name)

    return f"rename {text!r} over {name}", do


def touch(chance: random.Random) -> Edit:
    name = chance.choice(("p/a.txt", "p/BUILD.toml", "q/BUILD.toml", "rules/tiny.py", "axbuild.toml", "q/one.txt"))
    return f"touch {name}", lambda root: os.utime(root / name)


def add_or_remove_file(chance: random.Random) -> Edit:
    counting = ("q/three.txt", "q/sub/four.txt", "q/other.md", "stray/file", "p/BUILD.toml.orig")
    others = (
        "q/__pycache__/five.txt",
        "q/sub/__pycache__/six.txt",
        "q/old.pyc",
        "q/.hid/seven.txt",
        "q/cache/eight.txt",
    )
    name = chance.choice(counting + others)

    def do(root: Path) -> None:
        if (root / name).exists():
            (root / name).unlink()
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)

    return f"add or remove {name}", do


def link_folder(chance: random.Random) -> Edit:
    target = chance.choice(("stray", "q/sub", "q"))

    def do(root: Path) -> None:
        link = root / "q" / "linked"
        if link.is_symlink():
            link.unlink()
        else:
            link.symlink_to(root / target)

    return f"add or remove a link from q to {target}", do


def hide_source(chance: random.Random) -> Edit:
    name = chance.choice(("p/b.txt", "q/two.txt"))

    def do(root: Path) -> None:
        if (root / name).exists():
            (root / name).unlink()
        else:
            (root / name).write_text("back")

    return f"delete or bring back {name}", do


def edit_build_file(chance: random.Random) -> Edit:
    changed = BUILD.replace("most = 40", f"most = {chance.choice((5, 30, 40, 90))}")
    changed = changed.replace('of = ":a"', f'of = ":{chance.choice("ab")}"', 1)
    changed += chance.choice(("", "# comment\n", '\n[[text]]\nname = "more"\nsrc = "a.txt"\n', "\n[[text]\n"))
    return _write("p/BUILD.toml", changed)


def edit_table(chance: random.Random) -> Edit:
    """One line of a BUILD file, whatever else has become of it: a comment, an attribute, a default, a table more."""
    line, other = chance.choice(
        (
            ("# a comment", ""),
            ("# a comment", ""),
            ('[defaults.shout]\nmark = ";"\n', ""),
            ('srcs = "**/*.txt"', 'srcs = "one.txt"'),
            ('srcs = "**/*.txt"', 'srcs = ["*.txt", "*.md"]'),
            ('[[shout]]\nname = "far"\nof = "//p:a"\n', ""),
            ('[[shout]]\nname = "far"\nof = "//p:b"\nmark = "?"\n', ""),
            ('[[limit]]\nname = "few"\nof = "//p:loud"\nmost = 90\n', ""),
            ('[[text]]\nname = "sub"\nsrc = "one.txt"\n', ""),
            ('name = "heap"', 'name = "pile"'),
        )
    )

    def do(root: Path) -> None:
        path = root / "q/BUILD.toml"
        text = path.read_text()
        if line in text:
            path.write_text(text.replace(line, other, 1))
        else:
            path.write_text(text.replace(other, line, 1) if other and other in text else f"{text}\n{line}\n")

    return f"swap {line!r} for {other!r} in q/BUILD.toml", do


def edit_package(chance: random.Random) -> Edit:
    name = chance.choice(("r/BUILD.toml", "q/sub/BUILD.toml", "q/far/BUILD.toml", "s/t/BUILD.toml"))

    def do(root: Path) -> None:
        if (root / name).exists():
            (root / name).unlink()
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text('[[shout]]\nname = "r"\nof = "//p:a"\n')

    return f"add or remove {name}", do


def edit_code(chance: random.Random) -> Edit:
    name = chance.choice(("shout", "strip", "pile"))
    text = (STAGES | {"pile": PILE})[name] + chance.choice(("", "# comment\n", "OTHER = 1\n"))
    return _write(f"rules/{name}_stages.py", text)


def edit_rules(chance: random.Random) -> Edit:
    mark = chance.choice(("!", "?"))
    changed = RULES.replace('default="!"', f'default="{mark}"')
    return _write("rules/tiny.py", changed + chance.choice(("", "# a comment\n", "\n\n# two\n")))


def edit_settings(chance: random.Random) -> Edit:
    texts = (
        ("axbuild.toml", ""),
        ("axbuild.toml", "# a comment\n"),
        ("axbuild.toml", "[cache]\nsize_gb = 7\n\n[config.ci.build]\njobs = 3\n"),
        ("axbuild.toml", '[defaults.shout]\nmark = "."\n'),
        (".axbuildignore", "sub/\n"),
        (".axbuildignore", ""),
    )
    return _write(*chance.choice(texts))


def harm_output(chance: random.Random) -> Edit:
    name = chance.choice(("p/loud/text", "p/both/text", "q/heap/text", "p/words/words"))
    how = chance.choice(("delete", "write", "link", "stray", "all", "hard", "mode"))

    def do(root: Path) -> None:
        path = root / "axbuild-out" / name
        if how == "all":
            shutil.rmtree(root / "axbuild-out", ignore_errors=True)
        elif how == "stray" and path.parent.is_dir():
            (path.parent / "stray").write_text("mine")
        elif how == "delete":
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        elif path.is_file() and how == "write":
            path.write_text("mine")
        elif path.is_file() and how == "mode":
            path.chmod(0o600)
        elif path.is_file():
            kept = root / "kept"
            kept.unlink(missing_ok=True)
            kept.write_text(path.read_text())
            path.unlink()
            path.symlink_to(kept) if how == "link" else os.link(kept, path)

    return f"{how} output {name}", do


def drop_cache(_chance: random.Random) -> Edit:
    return "drop the cache", lambda root: shutil.rmtree(root / "cache", ignore_errors=True)


def edit_folder(chance: random.Random) -> Edit:
    name = chance.choice(("q/empty", "u", "r"))

    def do(root: Path) -> None:
        if (root / name).is_dir():
            shutil.rmtree(root / name)
        else:
            (root / name).mkdir(parents=True)

    return f"make or remove the folder {name}", do


EDITS = (
    *(edit_table,) * 12,
    *(edit_folder,) * 2,
    *(edit_source,) * 10,
    *(harm_output,) * 5,
    *(rename_in, touch, link_folder, add_or_remove_file, hide_source, edit_build_file, edit_package) * 2,
    *(edit_rules, edit_settings) * 2,
    *(edit_code, drop_cache),
)


def _append(name: str, text: str) -> Callable[[Path], None]:
    def do(root: Path) -> None:
        with (root / name).open("a") as file:
            file.write(text)

    return do


NEW = '\n[[shout]]\nname = "new"\nof = "//p:a"\n'
WAYS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a comment in a BUILD file": ("settled", _append("q/BUILD.toml", "# comment\n")),
    "a comment in the settings": ("settled", _append("axbuild.toml", "# comment\n")),
    "a setting that no answer rests on": ("settled", _append("axbuild.toml", "[cache]\nsize_gb = 7\n")),
    "a comment in a rule file": ("settled", _append("rules/tiny.py", "# comment\n")),
    "an empty folder": ("settled", lambda root: (root / "empty").mkdir()),
    "a new target": ("laid out in part", _append("q/BUILD.toml", NEW)),
    "a changed attribute": ("laid out in part", _write("q/BUILD.toml", MORE_BUILD.replace("**/*.txt", "one.txt"))[1]),
    "a new package": ("laid out in part", _write("r/BUILD.toml", NEW)[1]),
    "a package that is gone": ("laid out in part", lambda root: (root / "q/BUILD.toml").unlink()),
    "a file that a glob finds": ("laid out in part", _write("q/three.txt", "3")[1]),
    "an ignore file": ("full", _write(".axbuildignore", "nothing\n")[1]),
    "a default for all packages": ("full", _append("axbuild.toml", '[defaults.shout]\nmark = "."\n')),
    "a rule that means something else": ("full", _write("rules/tiny.py", RULES.replace('"!"', '"?"'))[1]),
    "code of a stage": ("full", _append("rules/pile_stages.py", "# comment\n")),
    "a BUILD file that is a source too": ("full", _append("s/BUILD.toml", "# comment\n")),
    "a BUILD file with a mistake": ("full", _append("q/BUILD.toml", "[[pile]]\n")),
    "a target in the folder of a package": ("full", _append("q/BUILD.toml", NEW.replace("new", "inner"))),
}


@pytest.mark.parametrize("edit", WAYS)
def test_an_edit_takes_the_shortest_way_to_the_full_paths_answer(edit, tmp_path, monkeypatch):
    """And so does the build behind it, which has nothing to do."""
    monkeypatch.setattr(engine, "Workers", InlineWorkers)
    monkeypatch.setattr(snapshot, "_write", lambda stream, data: None)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.chdir(tmp_path)
    way, do = WAYS[edit]
    quick, slow = Twin(tmp_path / "quick", True), Twin(tmp_path / "slow", False)
    for twin in (quick, slow):
        twin.create()
        twin.write("s/BUILD.toml", MORE_BUILD.replace("**/*.txt", "BUILD.toml"))
        twin.write("q/inner/BUILD.toml", NEW)
        twin.build(["build", "//..."])
        do(twin.root)
    quick.taken.clear()
    assert quick.build(["build", "//..."]) == slow.build(["build", "//..."])
    assert quick.taken == {way: 1}
    after = quick.build(["build", "//..."])
    assert after == slow.build(["build", "//..."])
    assert quick.taken["answer"] == (after["exit code"] == 0)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_snapshots_answer_is_the_full_paths_answer(shard, tmp_path, monkeypatch):
    """Odd shards let signatures come of age (a window of milliseconds, and waits longer than the clock's tick);
    even ones keep everything young, so that content alone decides."""
    monkeypatch.setattr(engine, "Workers", InlineWorkers)
    monkeypatch.setattr(snapshot, "_write", lambda stream, data: None)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    wait = 0.0
    if shard % 2:
        wait = 0.012
        monkeypatch.setattr(statcache, "YOUNG_NS", 8_000_000)
        monkeypatch.setattr(snapshot, "YOUNG_NS", 8_000_000)
    chance = random.Random(shard)
    quick, slow = Twin(tmp_path / "quick", True), Twin(tmp_path / "slow", False)
    for twin in (quick, slow):
        twin.create()
    story: list[str] = []
    monkeypatch.chdir(tmp_path)
    for _ in range(SEQUENCES // SHARDS):
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            name, do = chance.choice(EDITS)(chance)
            story.append(name)
            for twin in (quick, slow):
                do(twin.root)
        time.sleep(wait)
        arguments = chance.choice((["build", "//..."],) * 4 + (["build", "//p:all", "-k"], ["test", "//..."]))
        story.append(" ".join(arguments))
        answers = [twin.build(arguments) for twin in (quick, slow)]
        assert answers[0] == answers[1], "\n".join(story[-12:])
        if answers[0]["exit code"]:  # or the rest of the test would see nothing but errors
            story.append("heal")
            for twin in (quick, slow):
                twin.create()
        time.sleep(wait)
    assert slow.taken.keys() == {"full"}
    for way in ("answer", "settled", "partial", "laid out in part"):
        assert quick.taken[way] > SEQUENCES // SHARDS // 40, quick.taken
