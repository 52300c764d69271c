"""The samples as what the float model takes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input
from axbuild.toolchain.graph import Array


def feeds(
    names: list[str], folders: list[Path], inputs: tuple[InputData, ...]
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(sample name, input name -> array) of every sample, in order of name; folders[i] is of inputs[i]."""
    chosen = bind(inputs, names)
    for sample, files in paired(folders, inputs):
        yield sample, {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}
