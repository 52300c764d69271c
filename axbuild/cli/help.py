"""`axbuild help`"""

from __future__ import annotations

import sys

import click

from axbuild.cli.info import rule_named
from axbuild.cli.verbs import command_of
from axbuild.report.rule_page import rule_text


@click.command("help")
@click.argument("name", required=False)
@click.pass_context
def command(ctx: click.Context, name: str | None) -> int:
    """Show the page of a command or of a rule; without a name, the commands.

    \b
    axbuild help build
    axbuild help quant_model
    """
    group = ctx.find_root()
    found = command_of(name) if name is not None else group.command
    if found is None:
        assert name is not None
        click.echo(rule_text(rule_named(name), sys.stdout))
    elif found is group.command:
        click.echo(group.get_help())
    else:
        click.echo(found.get_help(click.Context(found, info_name=name, parent=group)))
    return 0
