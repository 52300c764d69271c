"""`axbuild test`"""

from __future__ import annotations

from typing import Any

import click

from axbuild.cli.building import Options, build_options, run


@click.command("test")
@build_options
def command(**flags: Any) -> int:
    """Build the targets named here that have a verdict, and say which passed.

    A verdict is a result like any other: where nothing changed, it is not computed again. Exit code 1 when one fails,
    with tensor, index, both values and the limit in one line.

    \b
    axbuild test //...
    """
    return run("test", Options(**flags))
