"""Stage: arrays of one shape of an input -> arrays of another, with the same values in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.data.sampled import target_of
from axbuild.toolchain.graph import Array, Shape


@dataclass(frozen=True)
class FitParams:
    """input: a model input's name, "" for the only one or all alike; apart: inputs that "" is not for."""

    input: str
    apart: tuple[str, ...] = ()


def fit(samples: Path, interface: Path, out: Path, *, params: FitParams) -> None:
    """`samples`: a tree of decoded arrays; interface: what the front end wrote at the other shape. Writes samples/.

    Values are the samples' own, so that indices and masks stay what they are.
    """
    shape = target_of(interface, params.input, params.apart).shape
    folder = out / "samples"
    folder.mkdir()
    for file in sorted(samples.rglob("*.npy")):
        np.save(folder / file.name, fitted(np.load(file, allow_pickle=False), shape), allow_pickle=False)


def fitted(array: Array, shape: Shape) -> Array:
    """Cut off along each axis, or repeated from its beginning."""
    for axis, size in enumerate(shape):
        array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array
