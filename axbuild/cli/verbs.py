"""Every verb of the command line, from the one table and from rule files, as commands of click."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import click

from axbuild.engine.noop.snapshot import root_of
from axbuild.errors import AxError
from axbuild.workspace.rulepack import LoadedVerb, load_verbs
from axbuild.workspace.verb import BUILT_IN, Argument

_TYPES: dict[str, click.ParamType[Any, Any]] = {
    "text": click.STRING,
    "number": click.INT,
    "file": click.Path(exists=True, dir_okay=False, path_type=Path),
}


@cache
def declared() -> dict[str, LoadedVerb]:
    """The verbs of rule files: of the workspace around the current folder, elsewhere of the standard rules."""
    root = root_of(str(Path.cwd()))
    return load_verbs(Path(root) / "rules" if root else None)


def listed() -> tuple[dict[str, str], AxError | None]:
    """Name -> help of every verb, axbuild's own first; and why those of the workspace's rules are not among them."""
    own = {name: verb.about for name, verb in BUILT_IN.items()}
    try:
        found, error = declared(), None
    except AxError as broken:
        found, error = load_verbs(None), broken
    return own | {name: loaded.verb.about for name, loaded in sorted(found.items())}, error


def command_of(name: str) -> click.Command | None:
    """The command of a verb; of axbuild's own, its module is imported, of a declared one nothing yet."""
    if name in BUILT_IN:
        verb = BUILT_IN[name]
        command = getattr(importlib.import_module(verb.module), verb.function)
        assert isinstance(command, click.Command)
        return command
    found = declared().get(name)
    return None if found is None else _command(found)


def _command(loaded: LoadedVerb) -> click.Command:
    def run(**values: Any) -> int:
        from axbuild.report.style import quiet_pipes

        with quiet_pipes():
            return loaded.function()(**values) or 0
        return 0

    verb = loaded.verb
    rows = [f"{one.role.upper()}  {one.about}" for one in verb.arguments if not one.is_option]
    about = "\n".join([verb.about, *(["", "\b", *rows] if rows else [])])
    kind = _Rest if verb.takes_rest else click.Command
    return kind(verb.name, callback=run, params=[_parameter(one) for one in verb.arguments], help=about)


class _Rest(click.Command):
    """Hands on what it is given, which click would take apart."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params[str(self.params[0].name)] = tuple(args)
        return []


def _parameter(one: Argument) -> click.Parameter:
    if one.kind == "flag":
        return click.Option([one.name, one.role], is_flag=True, help=one.about)
    if one.is_option:
        names = [one.name, one.role]
        return click.Option(names, type=_TYPES[one.kind], default=one.default, multiple=one.many, help=one.about)
    many = -1 if one.many or one.kind == "rest" else 1
    typed = _TYPES.get(one.kind, click.STRING)
    if one.default is None:  # which click would take for a value that stands in where none is given
        return click.Argument([one.role], type=typed, nargs=many, required=True)
    return click.Argument([one.role], type=typed, default=one.default, nargs=many)
