"""The command group."""

from __future__ import annotations

from collections.abc import Sequence

import click

from axbuild.cli.common import SUBTRACT
from axbuild.cli.ending import ended
from axbuild.cli.verbs import command_of, listed
from axbuild.codes import USER_ERROR
from axbuild.engine.noop.snapshot import Found


class Verbs(click.Group):
    """Imports a verb's module when it is called: `--help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(listed()[0])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return command_of(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and command_of(args[0]) is None:
            import difflib

            known = self.list_commands(ctx)
            close = difflib.get_close_matches(args[0], known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"the commands are {', '.join(known)}"
            ctx.fail(f"there is no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        verbs, broken = listed()
        with formatter.section("Commands"):
            formatter.write_dl(list(verbs.items()))
        if broken is not None:
            with formatter.section("Commands of the workspace's own rules are not listed"):
                formatter.write_text(str(broken))


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
