"""The samples as what the float model takes in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from axbuild.progress import tell
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.graph import Array


def feeds(
    names: list[str], folders: list[Path], inputs: tuple[InputData, ...], only: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(sample name, input name -> array) of every sample, in order of name, or of `only` these; folders[i] is of
    inputs[i]."""
    chosen = bind(inputs, names)
    rows = [row for row in paired(folders, inputs) if only is None or row[0] in only]
    for number, (sample, files) in enumerate(rows, 1):
        tell("sample", number, len(rows))
        yield sample, feed_of(files, chosen)


T = TypeVar("T")


def first(size: int, rows: Iterator[T]) -> Iterator[T]:
    """The first `size` rows; all of them where it is -1."""
    return islice(rows, None if size < 0 else size)


def some(folders: list[Path], inputs: tuple[InputData, ...], names: list[str], most: int) -> list[dict[str, Array]]:
    """At most so many samples, evenly spaced in order of name."""
    chosen = paired(folders, inputs)
    step = max(1.0, len(chosen) / most)
    kept = {chosen[int(number * step)][0] for number in range(min(most, len(chosen)))}
    return [feed for _, feed in feeds(names, folders, inputs, kept)]
