"""The tree `outputs/<sample>/<tensor>.npy` that simulation and reference write and comparison reads."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from axbuild.toolchain.graph import Array

LONGEST = 200
"""bytes of a file's name that are an encoded tensor name; file systems take 255 in all"""
MARK = "~"
"""begins the files of a tensor whose name is too long; encoded names never hold it at their beginning"""


def save(folder: Path, sample: str, tensors: dict[str, Array]) -> None:
    """Write one sample's outputs; what a tensor's name has beyond a file name's characters is percent-encoded, and one
    that is too long then stands in a text file beside its array, both under its digest."""
    (folder / sample).mkdir(parents=True)
    for name, array in tensors.items():
        stem = quote(name, safe="").replace(MARK, "%7E")
        if len(stem) > LONGEST:
            stem = MARK + sha256(name.encode()).hexdigest()
            (folder / sample / f"{stem}.txt").write_text(name, encoding="utf-8")
        np.save(folder / sample / f"{stem}.npy", array, allow_pickle=False)


def load(folder: Path, sample: str) -> dict[str, Array]:
    """Tensor name -> array, sorted by name of the file."""
    files = sorted((folder / sample).glob("*.npy"))
    return {_name_of(file): np.load(file, allow_pickle=False) for file in files}


def _name_of(file: Path) -> str:
    return file.with_suffix(".txt").read_text(encoding="utf-8") if file.stem.startswith(MARK) else unquote(file.stem)


def samples(folder: Path) -> list[str]:
    """Names of the samples, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())
