"""The samples as what the float model takes in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input
from axbuild.toolchain.graph import Array


def feeds(
    names: list[str], folders: list[Path], inputs: tuple[InputData, ...], only: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(sample name, input name -> array) of every sample, in order of name, or of `only` these; folders[i] is of
    inputs[i]."""
    chosen = bind(inputs, names)
    for sample, files in paired(folders, inputs):
        if only is not None and sample not in only:
            continue
        yield sample, {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}


def some(folders: list[Path], inputs: tuple[InputData, ...], names: list[str], most: int) -> list[dict[str, Array]]:
    """At most so many samples, evenly spaced in order of name."""
    chosen = paired(folders, inputs)
    step = max(1.0, len(chosen) / most)
    kept = {chosen[int(number * step)][0] for number in range(min(most, len(chosen)))}
    return [feed for _, feed in feeds(names, folders, inputs, kept)]
