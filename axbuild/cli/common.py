"""What several verbs share: the target argument with its completion, and options of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from axbuild.workspace.workspace import Workspace

SUBTRACT = "\0"
"""Put before `-//...` on the way in, so that click takes it for an argument and not for an option."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class TargetArgument(click.ParamType[str, str]):
    name = "target"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return value.removeprefix(SUBTRACT)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from axbuild.cli.completing import labels

        return [CompletionItem(label) for label in labels(Path.cwd(), incomplete)]


def targets() -> Callable[[Decorated], Decorated]:
    return click.argument("targets", nargs=-1, required=True, type=TargetArgument())


def config_option(command: Decorated) -> Decorated:
    return click.option(
        "--config", multiple=True, metavar="NAME", help="Apply [config.NAME] of axbuild.toml; may be repeated."
    )(command)


def jobs_option(command: Decorated) -> Decorated:
    return click.option(
        "--jobs", "-j", type=click.IntRange(min=1), metavar="N", help="Actions that run at once (one for each CPU)."
    )(command)


def json_option(command: Decorated) -> Decorated:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")(command)


def here(config: tuple[str, ...] = ()) -> Workspace:
    """The workspace around the current folder."""
    from axbuild.workspace.workspace import Workspace  # `--help` needs none

    return Workspace.find(Path.cwd(), {}, config)
