"""Habits of the house that a reader should not have to look for."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

from axbuild.codes import CODES

TOP = Path(__file__).resolve().parents[2]
OURS = ("axbuild", "rules", "examples", "benchmarks", "tests")
# AX6xx are chips.
CODE = re.compile(r'"(AX[1-59]\d{2})"')
SILENT_IGNORE = re.compile(r"#\s*(noqa|type: ignore)(:\s*[A-Z0-9, ]+|\[[\w, -]+\])?\s*$")
SKIPS = {"skip", "skipif", "xfail", "importorskip"}


@cache
def sources() -> dict[str, str]:
    """Text of every Python file of the repository by its path."""
    listed = subprocess.run(["git", "ls-files", "-z", *OURS], cwd=TOP, capture_output=True, check=True).stdout
    names = [name for name in listed.decode().split("\0") if name.endswith(".py")]
    return {name: (TOP / name).read_text() for name in names if (TOP / name).exists()}


def nodes(*kinds: type[ast.AST]):
    for name, text in sources().items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kinds):
                yield name, node


def test_every_error_code_in_use_is_in_the_table_and_the_other_way_round() -> None:
    shipped = {name: text for name, text in sources().items() if not name.startswith(("tests/", "benchmarks/"))}
    del shipped["axbuild/codes.py"]
    used = {code for text in shipped.values() for code in CODE.findall(text)}
    assert used - set(CODES) == set()
    assert set(CODES) - used == set()


def test_every_ignore_carries_its_reason() -> None:
    """In the same line, or as a comment above."""
    silent = []
    for name, text in sources().items():
        lines = ["", *text.splitlines()]
        for number, line in enumerate(lines):
            if SILENT_IGNORE.search(line) and not lines[number - 1].lstrip().startswith("#"):
                silent.append(f"{name}:{number}")
    assert silent == []


def test_no_except_clause_is_bare() -> None:
    assert [f"{name}:{node.lineno}" for name, node in nodes(ast.ExceptHandler) if node.type is None] == []


def test_no_test_is_skipped() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, node in nodes(ast.Attribute)
        if name.startswith("tests/") and node.attr in SKIPS
    ]
    assert found == []
