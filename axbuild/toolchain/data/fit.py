"""Stage: arrays of one shape of an input -> arrays of another, with the same values in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.data.inputs import load_sample, own_array, record_of, save_sample
from axbuild.toolchain.data.sampled import target_of, targets_of
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
    inputs = {item.name: item for item in targets_of(interface, params.input, params.apart)}
    folder = out / "samples"
    folder.mkdir()
    for file in sorted(samples.rglob("*.npy")):
        sample = load_sample(file)
        if sample.dtype.names:
            fields = {name: fitted(own_array(sample, name), inputs[name].shape) for name in sample.dtype.names}
            save_sample(folder / file.name, record_of(fields))
        else:
            shape = target_of(interface, params.input, params.apart).shape
            save_sample(folder / file.name, fitted(sample, shape))


def fitted(array: Array, shape: Shape) -> Array:
    """Cut off along each axis, or repeated from its beginning."""
    for axis, size in enumerate(shape):
        array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array
