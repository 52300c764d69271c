"""The tree `outputs/<sample>.npz` that simulation and reference write and comparison reads.

One file a sample: to make and remove a folder costs most file systems more than what a sample's outputs hold.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote
from zipfile import ZipFile, ZipInfo

import numpy as np

from axbuild.toolchain.graph import Array

SUFFIX = ".npz"
_MEMBER = ".npy"


def save(folder: Path, sample: str, tensors: dict[str, Array]) -> None:
    """Write one sample's outputs, as numpy's `savez` would but under any tensor name: percent-encoded."""
    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(folder / f"{sample}{SUFFIX}", "w") as archive:
        for name, array in tensors.items():
            # A ZipInfo made so has no time of its own: same outputs, same bytes.
            with archive.open(ZipInfo(quote(name, safe="") + _MEMBER), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def load(folder: Path, sample: str) -> dict[str, Array]:
    """Tensor name -> array, in the order in which they were written."""
    with ZipFile(folder / f"{sample}{SUFFIX}") as archive:
        return {unquote(name.removesuffix(_MEMBER)): _read(archive, name) for name in archive.namelist()}


def _read(archive: ZipFile, name: str) -> Array:
    with archive.open(name) as file:
        array: Array = np.lib.format.read_array(file, allow_pickle=False)
        return array


def samples(folder: Path) -> list[str]:
    """Names of the samples, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in folder.iterdir())
