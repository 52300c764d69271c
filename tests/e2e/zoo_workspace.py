"""A copy of the example zoo, driven through the command line as its users drive it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
ZOO = REPOSITORY / "examples" / "zoo"
LEFT_OUT = {"cache", "axbuild-out", "__pycache__"}


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code, what it printed, and the events it wrote."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]]

    @property
    def executed(self) -> list[str]:
        """Stages of the actions that ran, in the order in which they ended."""
        return [event["stage"] for event in self.finished("executed")]

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in self.events[-1]["counts"].items() if count}

    def finished(self, status: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == "action_finished" and e["status"] == status]


class Zoo:
    """`package`: a folder with axbuild/ and rules/ to run instead of the installed ones."""

    def __init__(self, root: Path, cache: Path, package: Path | None = None) -> None:
        self.root = root
        self.package = package
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("AXBUILD_")}
        self.environment["AXBUILD_CACHE_DIR"] = str(cache)
        if package:
            self.environment["PYTHONPATH"] = str(package)

    def run(self, *arguments: str) -> Outcome:
        events = self.root.parent / f"{self.root.name}.events.jsonl"
        events.unlink(missing_ok=True)
        flags = ["--events", str(events)] if arguments[0] in ("build", "test") else []
        done = subprocess.run(
            [sys.executable, "-m", "axbuild.cli.entry", *arguments, *flags],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        lines = events.read_text().splitlines() if events.exists() else []
        return Outcome(done.returncode, done.stdout, done.stderr, [json.loads(line) for line in lines])

    def build(self, *arguments: str) -> Outcome:
        """A build that must succeed."""
        outcome = self.run("build", *arguments)
        assert outcome.code == 0, outcome.out + outcome.err
        return outcome

    @contextlib.contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """`old`, which must stand in the file, is `new` within the block."""
        path = self.root / file
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        try:
            yield
        finally:
            path.write_text(before)

    @contextlib.contextmanager
    def replaced(self, file: str, content: bytes) -> Iterator[None]:
        """Another content in place of the file's; written as a new file, since copies of the zoo share inodes."""
        path = self.root / file
        before = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        try:
            yield
        finally:
            path.write_bytes(before)


def copy_zoo(target: Path) -> Path:
    """The example without its store and outputs; what `make fetch` brought is linked, not copied."""

    def link(source: str, destination: str) -> str:
        if f"{os.sep}fetched{os.sep}" in source:
            os.link(source, destination)
            return destination
        return shutil.copy2(source, destination)

    def left_out(_folder: str, names: list[str]) -> set[str]:
        return LEFT_OUT & set(names)

    try:
        shutil.copytree(ZOO, target, ignore=left_out, copy_function=link)
    except shutil.Error:  # the temporary folder is on another file system
        shutil.rmtree(target)
        shutil.copytree(ZOO, target, ignore=left_out)
    return target


def copy_package(target: Path) -> Path:
    """axbuild/ and rules/ side by side, to be edited."""
    for name in ("axbuild", "rules"):
        shutil.copytree(REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target
