"""What stands between two blocks: of each tensor that goes on, its values for every sample, in float and quantised.

A folder: `tensors.json`, a list of names, and for the i-th of them `float_<i>.npy` and `coded_<i>.npy`, the samples
along a new first axis. Quantised values are reals: codes come back from them exactly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.graph import Array

Tensors = dict[str, Array]
"""name -> the samples' values, stacked"""


@dataclass(frozen=True)
class Boundary:
    """float, coded: what the float model and the quantised one give."""

    float: Tensors
    coded: Tensors

    @property
    def samples(self) -> int:
        return len(next(iter(self.float.values())))

    def write(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "tensors.json").write_text(json.dumps(list(self.float)) + "\n", encoding="utf-8")
        for number, name in enumerate(self.float):
            np.save(folder / f"float_{number}.npy", self.float[name])
            np.save(folder / f"coded_{number}.npy", self.coded[name])

    @staticmethod
    def read(folder: Path) -> Boundary:
        names = json.loads((folder / "tensors.json").read_bytes())
        return Boundary(_load(folder, "float", names), _load(folder, "coded", names))

    def only(self, names: tuple[str, ...]) -> Boundary:
        return Boundary({name: self.float[name] for name in names}, {name: self.coded[name] for name in names})


def _load(folder: Path, which: str, names: list[str]) -> Tensors:
    return {name: np.load(folder / f"{which}_{number}.npy", allow_pickle=False) for number, name in enumerate(names)}


def write_tensors(tensors: Tensors, folder: Path) -> None:
    """Of the float model alone: `tensors.json` and `<i>.npy`."""
    folder.mkdir(parents=True)
    (folder / "tensors.json").write_text(json.dumps(list(tensors)) + "\n", encoding="utf-8")
    for number, array in enumerate(tensors.values()):
        np.save(folder / f"{number}.npy", array)


def read_tensors(folder: Path) -> Tensors:
    names = json.loads((folder / "tensors.json").read_bytes())
    return {name: np.load(folder / f"{number}.npy", allow_pickle=False) for number, name in enumerate(names)}
