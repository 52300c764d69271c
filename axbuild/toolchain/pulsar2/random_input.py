"""Inputs made up for a run: the same bytes for the same tensor of the same run, every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from axbuild.toolchain.axmodel.random_array import random_array
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.pulsar2.raw import OutputError, write_raw


def require_free(folder: Path, inputs: Mapping[str, BoundaryTensor], count: int, label: str) -> None:
    """Raises OutputError where a file that `fill_with_random` writes has other bytes: they may be somebody's data."""
    for name, array in _made(inputs, count, label).items():
        path = folder / name
        if path.exists() and (not path.is_file() or path.read_bytes() != array.tobytes()):
            raise OutputError(
                f"--random_input would overwrite {path}, which holds something else",
                hint="leave --random_input out to run on it, or name another --input_dir",
            )


def fill_with_random(folder: Path, inputs: Mapping[str, BoundaryTensor], count: int, label: str) -> None:
    """Write a file for each tensor. inputs: file name -> its tensor; label: of the run."""
    write_raw(folder, _made(inputs, count, label))


def _made(inputs: Mapping[str, BoundaryTensor], count: int, label: str) -> dict[str, Array]:
    return {name: random_array(tensor, count, f"{label}\n{tensor.name}") for name, tensor in inputs.items()}
