"""Rows and frames of the vendor's build guide, the tests that show them, and the page that a run of these writes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
TOP = HERE.parent.parent
PAGE = TOP / "docs/seed-checklist.md"
ROWS = 120

_HEAD = """# The vendor's build guide, row by row

Each feature that the guide shows or promises, the tests that show it here, and how they ended in the last whole run of
the tests, which wrote this page (`make checklist`). Figures of boards cannot be measured without one: rows about them
are shown by their analogue on the reference NPU, whose cycles are estimates.
"""


def titles() -> dict[str, dict[str, str]]:
    """Section -> row -> what it is, in the guide's order."""
    guide = tomllib.loads((HERE / "guide.toml").read_text(encoding="utf-8"))
    return {one.pop("title"): one for one in guide["section"]}


def shown_by() -> dict[str, list[str]]:
    """Row -> the tests that show it, as file::test; each once, by the files of rows in the order of their names."""
    found: dict[str, list[str]] = {}
    for file in sorted((HERE / "rows").glob("*.toml")):
        for row, tests in tomllib.loads(file.read_text(encoding="utf-8")).items():
            found.setdefault(row, []).extend(test for test in tests if test not in found.get(row, []))
    return found


def printed() -> list[tuple[int, str, str]]:
    """(line, what, test) of every frame of the guide, by line."""
    said = tomllib.loads((HERE / "printed.toml").read_text(encoding="utf-8"))
    commands = tomllib.loads((HERE / "commands.toml").read_text(encoding="utf-8"))
    found = [(int(line), what, test) for line, (what, test) in said["frames"].items()]
    found += [(int(line), f"`{text}`", said["commands"]) for line, text in commands.items()]
    for file in (HERE / "configs").glob("*.json"):
        line, _, name = file.stem.partition("_")
        found.append((int(line), f"config: {name.replace('_', ' ')}", said["configs"]))
    return sorted(found)


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    path = TOP / file
    return path.is_file() and re.search(rf"^\s*def {re.escape(name)}\(", path.read_text("utf-8"), re.M) is not None


def page(outcomes: Mapping[str, str]) -> str:
    """outcomes: test -> "passed", or how else it ended; one that did not run is not in it."""
    parts, tests = [_HEAD], shown_by()
    for section, rows in titles().items():
        lines = [f"## {section}", "", "| row | what | result | shown by |", "| --- | --- | --- | --- |"]
        for row, what in rows.items():
            named = tests.get(row, [])
            by = "<br>".join(f"`{test}`" for test in named) or "nothing yet"
            lines.append(f"| {row} | {what} | {_result(named, outcomes)} | {by} |")
        parts.append("\n".join([*lines, ""]))
    parts.append(_frames(outcomes))
    return "\n".join(parts)


def _frames(outcomes: Mapping[str, str]) -> str:
    lines = ["## What the guide prints", "", "| line | what | result | shown by |", "| --- | --- | --- | --- |"]
    lines += [f"| {line} | {what} | {_result([test], outcomes)} | `{test}` |" for line, what, test in printed()]
    return "\n".join([*lines, ""])


def _result(named: list[str], outcomes: Mapping[str, str]) -> str:
    ends = {outcomes.get(test, "not run") for test in named}
    if not ends:
        return "not shown"
    return "passed" if ends == {"passed"} else ", ".join(sorted(ends - {"passed"}))


def named() -> dict[str, None]:
    """Every test that the page names, once."""
    tests = [test for tests in shown_by().values() for test in tests]
    return dict.fromkeys(tests + [test for _, _, test in printed()])


if __name__ == "__main__":
    print(*named())
