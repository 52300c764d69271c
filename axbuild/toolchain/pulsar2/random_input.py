"""Inputs made up for a run: the same bytes for the same tensor of the same run, every time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.made_up import made_up
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor
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
    return {name: _random(tensor, count, f"{label}\n{tensor.name}") for name, tensor in inputs.items()}


def _random(tensor: BoundaryTensor, count: int, key: str) -> Array:
    """A size that the model leaves open is 1."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8]))
    shape = tuple(1 if size == FROM_DATA else size for size in tensor.at_batch(count))
    return made_up(rng, tensor.dtype, shape)
