"""`pulsar2 run` from its command line to its exit code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from axbuild.errors import AxWarning
from axbuild.toolchain.npu.chips.table import ChipFile
from axbuild.toolchain.pulsar2.flags import help_text, parse_flags
from axbuild.toolchain.pulsar2.merge import merged
from axbuild.toolchain.pulsar2.read import read_config
from axbuild.toolchain.pulsar2.run_schema import RunConfig


def run(arguments: Sequence[str], chips: Mapping[str, ChipFile]) -> int:
    """arguments: those behind `run`; chips: name -> chip. Raises AxError for what a user did wrong."""
    line = parse_flags(arguments, RunConfig)
    if line.help:
        print(help_text("axbuild pulsar2 run", RunConfig), end="")
        return 0
    asked = merged(line.settings, read_config(Path(line.config), RunConfig)) if line.config else line.settings
    from axbuild.toolchain.pulsar2.simulate import simulate  # what runs a model is slow to come

    with warnings.catch_warnings():
        warnings.simplefilter("always", AxWarning)
        warnings.showwarning = _told
        simulate(asked, chips)
    return 0


def _told(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """In the words of the warning alone, without the place in axbuild's own code."""
    print(message, file=sys.stderr, flush=True)
