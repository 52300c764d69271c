"""`axbuild version` (the plain form is answered in `entry`, before click)."""

from __future__ import annotations

import click

from axbuild.version import __version__


@click.command("version")
def command() -> int:
    """Print the version."""
    click.echo(f"axbuild {__version__}")
    return 0
