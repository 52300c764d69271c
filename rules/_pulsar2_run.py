"""`axbuild pulsar2 run`: a model of any sort on raw files, as the vendor's command has it."""

from __future__ import annotations

from collections.abc import Sequence

from ._chips import CHIPS
from ._running import shown_progress


def run(arguments: Sequence[str]) -> int:
    """The exit code. arguments: those behind `run`."""
    from axbuild.toolchain.pulsar2.run import run as run_on_files

    with shown_progress():
        return run_on_files(arguments, CHIPS)
