"""The command group."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import click

from axbuild.cli.common import SUBTRACT
from axbuild.cli.ending import ended
from axbuild.codes import USER_ERROR
from axbuild.engine.noop.snapshot import Found

VERBS = {
    "build": "Build targets, reusing every result that is still valid.",
    "test": "Build targets that have a verdict, and say which passed.",
    "query": "List targets, what they depend on, or what depends on them.",
    "why": "Say why each action of a target ran, or since when it is valid.",
    "builds": "List the last builds.",
    "diff": "Say what moved between two builds.",
    "explain": "Say what an error code means.",
    "info": "Show the workspace, its cache and settings, or a rule's attributes.",
    "cache": "Show what the cache holds, keep it small, check it.",
    "clean": "Remove outputs, or the whole cache.",
    "completion": "Print the shell's completion script.",
    "version": "Print the version.",
}


class Verbs(click.Group):
    """Imports a verb's module when it is called: `--help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"axbuild.cli.{name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS:
            import difflib

            close = difflib.get_close_matches(args[0], VERBS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(VERBS)}"
            ctx.fail(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def axbuild() -> None:
    """Build models for edge NPUs: axbuild build //mobilenet:axmodel

    Targets stand in BUILD.toml files of a workspace, the folder tree below an axbuild.toml.
    A target is named //folder:name; //folder/... is everything below a folder, and -//folder/... takes it away again.
    """


def run(arguments: Sequence[str], found: Found | None = None) -> int:
    """Run a command line, of which `found` is what its snapshot says; the process's exit code."""
    marked = [f"{SUBTRACT}{text}" if text.startswith(("-//", "-:")) else text for text in arguments]
    return ended(lambda: _run(marked, found))


def _run(arguments: Sequence[str], found: Found | None) -> int:
    try:
        code = axbuild.main(arguments, prog_name="axbuild", standalone_mode=False, obj=found)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return USER_ERROR
    except click.Abort:
        raise KeyboardInterrupt from None
