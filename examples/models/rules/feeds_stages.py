"""Decoded samples -> what a session takes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input


def feeds(names: list[str], folders: list[Path], inputs: tuple[InputData, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(sample, feed) for each sample, for a session with the inputs `names`."""
    chosen = bind(inputs, names)
    for sample, files in paired(folders, inputs):
        yield sample, {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}
