"""The tree `outputs/<sample>/<tensor>.npy` that simulation and reference write and comparison reads."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from axbuild.toolchain.graph import Array


def save(folder: Path, sample: str, tensors: dict[str, Array]) -> None:
    """Write one sample's outputs; what a tensor's name has beyond a file name's characters is percent-encoded."""
    (folder / sample).mkdir(parents=True)
    for name, array in tensors.items():
        np.save(folder / sample / f"{quote(name, safe='')}.npy", array, allow_pickle=False)


def load(folder: Path, sample: str) -> dict[str, Array]:
    """Tensor name -> array, sorted by name."""
    files = sorted((folder / sample).glob("*.npy"))
    return {unquote(file.stem): np.load(file, allow_pickle=False) for file in files}


def samples(folder: Path) -> list[str]:
    """Names of the samples, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())
