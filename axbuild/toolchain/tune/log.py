"""The log of what was learnt block by block, as the vendor's reads; on the screen in fewer lines."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from axbuild.errors import AxNote
from axbuild.toolchain.tune.passes import decibels
from axbuild.toolchain.tune.plan import PlannedBlock
from axbuild.toolchain.tune.report import Outcome

Told = tuple[str, str]
"""of a block: which it is, and what it came to"""


def head(title: str, rows: Mapping[str, object]) -> list[str]:
    return [title, "", "Check following parameters:", *(f"{name + ':':<27}{value}" for name, value in rows.items())]


def told(plan: Sequence[PlannedBlock], outcomes: Mapping[int, Outcome]) -> Iterator[Told]:
    """outcomes: by number of the block."""
    for place, (number, outcome) in enumerate(outcomes.items(), start=1):
        block = plan[number]
        kept = f", left as it was: {outcome.refusal}" if outcome.refusal else ""
        yield (
            f"# Block [{place} / {len(outcomes)}]: [['{block.first}'] -> ['{block.last}']]",
            f"# Tuning Finished  : ({outcome.before:.4g} -> {outcome.after:.4g}) [Block Loss]{kept}",
        )


def write_log(file: Path, header: Sequence[str], blocks: Iterable[Told], before: float, after: float) -> None:
    """before, after: noise over signal of the whole model's outputs."""
    rows = list(blocks)
    whole = f"Whole model: output error {decibels(before)} -> {decibels(after)}"
    lines = [*header, *(line for row in rows for line in ("", *row)), "", whole]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in (header[0], *(f"{block[2:]} {loss[2:]}" for block, loss in rows), whole):
        warnings.warn(AxNote(line), stacklevel=1)
