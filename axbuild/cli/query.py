"""`axbuild query`"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from axbuild.cli.common import SUBTRACT, config_option, json_option, targets
from axbuild.errors import AxError
from axbuild.graph import query
from axbuild.workspace.label import split
from axbuild.workspace.workspace import Workspace

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*\Z", re.DOTALL)
FUNCTIONS: dict[str, Callable[[Workspace, Sequence[str], str], tuple[str, ...]]] = {
    "labels": query.labels,
    "deps": query.deps,
    "rdeps": query.rdeps,
}


class BadQuery(AxError):
    code = "AX253"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(
            f"'{text}' is no query: {why}", hint="a query is a pattern, deps(PATTERN) or rdeps([UNIVERSE,] PATTERN)"
        )


@click.command("query")
@targets()
@json_option
@config_option
def command(targets: tuple[str, ...], as_json: bool, config: tuple[str, ...]) -> int:
    """List targets: those a pattern names, what they need, or what needs them.

    \b
    axbuild query //...                       every target
    axbuild query "deps(//mobilenet:check)"   it and all it needs, what is needed first
    axbuild query "rdeps(//data:photographs)" it and all that needs it
    axbuild query rdeps //data:photographs    the same, without quotes
    """
    start = Path.cwd()
    workspace = Workspace.find(start, {}, config)
    found = _answer(workspace, targets, workspace.package_of(start))
    if as_json:
        print(json.dumps([{"label": label, "rule": _rule(workspace, label)} for label in found]))
    else:
        print("\n".join(found))
    return 0


def _answer(workspace: Workspace, words: Sequence[str], package: str) -> tuple[str, ...]:
    call = _CALL.match(" ".join(words))
    if call:
        parts = [part.strip() for part in call[2].split(",")]
        return _call(workspace, call[1], parts, package)
    if len(words) > 1 and words[0] in FUNCTIONS:
        return FUNCTIONS[words[0]](workspace, words[1:], package)
    return query.labels(workspace, words, package)


def _call(workspace: Workspace, name: str, parts: list[str], package: str) -> tuple[str, ...]:
    text = f"{name}({', '.join(parts)})"
    if name not in FUNCTIONS:
        raise BadQuery(text, f"there is no function '{name}'")
    if not all(parts):
        raise BadQuery(text, "it has an empty argument")
    if name == "rdeps" and len(parts) == 2:
        return query.rdeps(workspace, _words(parts[1]), package, _words(parts[0]))
    if len(parts) > 1:
        raise BadQuery(text, "it has too many arguments")
    return FUNCTIONS[name](workspace, _words(parts[0]), package)


def _words(text: str) -> list[str]:
    return [word.removeprefix(SUBTRACT) for word in text.split()]


def _rule(workspace: Workspace, label: str) -> str:
    package, name = split(label)
    return workspace.packages.targets(package)[name].rule
