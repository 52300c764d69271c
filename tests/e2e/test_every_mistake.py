"""Mistakes of every kind through the real commands, one table: exit code 2, the sentence, and nothing written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bad_configs import FILES, SETTINGS
from bad_data import ARCHIVES, ARRAYS, PICTURES
from bad_flags import COMMANDS, PATHS, RUNS, VERBS, WORKSPACE
from bad_models import MODELS
from bad_world import BUILD, Mistake, start, tree
from command_mould import Mould, mould
from zoo_workspace import Outcome

GROUPS = {
    "command": COMMANDS,
    "path": PATHS,
    "run": RUNS,
    "workspace": WORKSPACE,
    "verb": VERBS,
    "file": FILES,
    "setting": SETTINGS,
    "archive": ARCHIVES,
    "picture": PICTURES,
    "array": ARRAYS,
    "model": MODELS,
}
MISTAKES = {f"{group}: {name}": mistake for group, table in GROUPS.items() for name, mistake in table.items()}
OVER_A_GOOD_ONE = (
    "command: a batch twice",
    "command: shapes of an input that is not",
    "setting: a rule for no operator",
    "archive: a tar cut in a header",
    "picture: a picture cut off",
    "array: a command within a dict",
    "model: model: truncated",
    "model: model: circle",
)
AS_PROCESSES = (
    "command: a flag that is not",
    "run: a model cut off",
    "verb: import of nothing",
    "archive: a link in a zip",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Desk:
    """start: the folder that every mistake begins with, its good build in good/."""

    start: Path
    room: Path
    commands: Mould
    environment: Mapping[str, str]

    def make(self, name: str) -> Path:
        """A folder in which the mistake of that name is made, put aside when the next one is."""
        root = self.room / "user"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.start, root, symlinks=True)
        mistake = MISTAKES[name]
        if mistake.make:
            mistake.make(root)
        return root


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    room = tmp_path_factory.mktemp("mistakes")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AXBUILD_")}
    (room / "tmp").mkdir()
    environment |= {"AXBUILD_CACHE_DIR": str(room / "cache"), "TMPDIR": str(room / "tmp")}
    start(room / "start")
    with mould(room, environment) as commands:
        done = commands.run(room / "start", *BUILD.replace("new", "good").split())
        assert done.code == 0, done.err
        yield Desk(room / "start", room, commands, environment)


def folder_of(root: Path, mistake: Mistake) -> Path:
    """Where the command is given."""
    return root / "workspace" if mistake.command[0] == "build" else root


def check(outcome: Outcome, mistake: Mistake) -> None:
    said = outcome.out + outcome.err
    assert outcome.code == 2, said
    assert mistake.told in outcome.err, outcome.err
    assert "Traceback" not in said
    assert not CONTROLS.search(said)


def test_there_are_mistakes_of_every_kind() -> None:
    assert len(MISTAKES) >= 200
    assert min(len(table) for table in GROUPS.values()) >= 8


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_exits_2_is_named_and_writes_nothing(desk: Desk, name: str) -> None:
    mistake, root = MISTAKES[name], desk.make(name)
    before = tree(root)
    outcome = desk.commands.run(folder_of(root, mistake), *mistake.command)
    check(outcome, mistake)
    assert tree(root) == before
    assert list((desk.room / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", OVER_A_GOOD_ONE)
def test_a_good_output_of_an_earlier_build_stays_whole(desk: Desk, name: str) -> None:
    """But the hidden workspace, in which the build that failed was asked for."""
    mistake, root = MISTAKES[name], desk.make(name)
    before = seen(root)
    assert "good/compiled.axmodel" in before
    command = ["good" if word == "new" else word for word in mistake.command]
    check(desk.commands.run(root, *command), mistake)
    assert seen(root) == before


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    return {path: content for path, content in tree(root).items() if ".axbuild" not in Path(path).parts}


@pytest.mark.parametrize("name", AS_PROCESSES)
def test_a_process_of_its_own_says_the_same(desk: Desk, name: str) -> None:
    mistake, root = MISTAKES[name], desk.make(name)
    before = tree(root)
    command = [sys.executable, "-m", "axbuild.cli.entry", *mistake.command]
    done = subprocess.run(command, cwd=root, env=desk.environment, capture_output=True, text=True, check=False)
    outcome = desk.commands.run(root, *mistake.command)
    assert (done.returncode, done.stderr) == (outcome.code, outcome.err)
    assert tree(root) == before
