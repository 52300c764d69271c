"""A workspace whose own path is no UTF-8: everything works in it as elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiny_workspace import Tiny


@pytest.fixture
def tiny(tmp_path) -> Tiny:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/w\xff\xfe"))
    root.mkdir()
    return Tiny(root)


def test_builds_answers_and_errors(tiny) -> None:
    first = tiny.build("//p:both", "//p:words")
    assert first.code == 0, first.err
    again = tiny.build("//p:both", "//p:words")
    assert (again.code, again.executed) == (0, [])
    assert "axbuild-out/p/both/text" in again.out
    assert tiny.why("//p:both").startswith("build ")
    tiny.edit("p/a.txt", "hello", "quiet")
    failed = tiny.build("//p:both")
    assert failed.code == 2
    assert "the word 'quiet' cannot be shouted" in failed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["info"],
        ["info", "--json"],
        ["query", "//..."],
        ["cache", "stats"],
        ["cache", "stats", "--json"],
        ["cache", "gc"],
        ["cache", "verify"],
        ["build", "//p:both", "--check_reproducible"],
        ["build", "//p:both", "--profile", "trace.json", "--json"],
        ["test", "//p:short", "--junit", "tests.xml"],
        ["builds"],
        ["clean", "--cache"],
    ],
    ids=" ".join,
)
def test_every_command(tiny, arguments) -> None:
    tiny.build("//p:both")
    done = tiny.run(*arguments)
    assert done.code == 0, done.err
    assert done.err.count("Traceback") == 0
