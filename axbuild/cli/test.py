"""`axbuild test`"""

from __future__ import annotations

from typing import Any

import click

from axbuild.cli.building import build_options, run
from axbuild.cli.running import Options
from axbuild.report.lines import TEST_OUTPUTS


@click.command("test")
@build_options
@click.option(
    "--test_output",
    "--test-output",
    type=click.Choice(TEST_OUTPUTS),
    default="errors",
    show_default=True,
    help="Tell all numbers of the checks that fail, of all checks, or of none.",
)
@click.option("--junit", metavar="FILE", help="Write the results as JUnit XML, for CI servers.")
def command(**flags: Any) -> int:
    """Build the targets named here that have a verdict, and say which passed.

    Checks have a verdict, and so has everything that a test_suite names. A verdict is a result like any other: where
    nothing changed, it is not computed again and marked as cached. Exit code 1 when one fails, with tensor, index,
    both values and the limit in one line.

    \b
    axbuild test //...
    axbuild test //mobilenet:checks --junit results.xml
    """
    return run("test", Options(**flags))
