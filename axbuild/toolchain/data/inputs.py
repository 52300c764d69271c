"""From decoded samples to what a float model takes in; observation and reference share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.graph import Array

MAX_HEADER = 2**22
"""bytes of what names the fields of a record"""
FEW = 3
"""samples named of those that lack a partner"""


class SampleMismatchError(AxError):
    """A sample that does not fit the input it is meant for, or that has no partner of the same name."""

    code = "AX330"


@dataclass(frozen=True)
class InputData:
    """How the decoded samples of one model input become its tensor.

    format: "Image" (uint8 HWC pictures, still to be normalised) or "Numpy" (the input's own values, used as they are,
    whatever the format of the set was).
    tensor_layout: of a picture in the model, "NCHW" or "NHWC".
    mean, std: one value a channel in the sample's channel order, or one for all; empty: 0 and 1. In pixel units.
    """

    name: str
    format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    tensor_layout: str = "NCHW"


def bind(inputs: tuple[InputData, ...], names: list[str]) -> list[tuple[InputData, int]]:
    """For each of a model's inputs `names`: its data, and which of the samples' trees it comes from.

    A name "" in `inputs` serves every input that has no entry of its own. Raises SampleMismatchError.
    """
    position = {data.name: index for index, data in enumerate(inputs)}
    for name in position:
        if name and name not in names:
            raise SampleMismatchError(f"samples are given for '{name}'; the model's inputs are {', '.join(names)}")
    chosen = [position.get(name, position.get("")) for name in names]
    if "" in position and position[""] not in chosen:
        raise SampleMismatchError('samples for "DEFAULT" have no effect: every input of the model has its own')
    for name, index in zip(names, chosen, strict=True):
        if index is None:
            raise SampleMismatchError(f"there are no samples for the model's input '{name}'")
    return [
        (replace(inputs[index], name=name), index)
        for name, index in zip(names, chosen, strict=True)
        if index is not None
    ]


def load_sample(file: Path) -> Array:
    """One `samples/<name>.npy`: uint8 [H, W, C] of an image, the input's own array, or a record of several inputs'."""
    sample: Array = np.load(file, allow_pickle=False, max_header_size=MAX_HEADER)
    return sample


def save_sample(file: Path, sample: Array) -> None:
    """As `load_sample` reads it."""
    version = (3, 0) if sample.dtype.names else None  # the one whose names of fields are any text
    with file.open("wb") as stream:
        np.lib.format.write_array(stream, sample, version, allow_pickle=False)


def record_of(arrays: Mapping[str, Array]) -> Array:
    """One array as it is; of several inputs a record of rank 0, with a field of each one's type and shape."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    record = np.empty((), np.dtype([(name, array.dtype, array.shape) for name, array in arrays.items()]))
    for name, array in arrays.items():
        record[name] = array
    return record


def own_array(sample: Array, name: str) -> Array:
    """An input's own array out of a sample that may be a record."""
    return np.array(sample[name]) if sample.dtype.names else sample


def feed_of(files: Sequence[Path], chosen: Iterable[tuple[InputData, int]]) -> dict[str, Array]:
    """Input -> its array, of one sample's files as `paired` gives them; chosen: as `bind` does."""
    return {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}


def paired(folders: list[Path], inputs: Sequence[InputData]) -> list[tuple[str, tuple[Path, ...]]]:
    """(sample name, one file an input) sorted by name; `folders` are `samples/` trees, of `inputs` one each, with the
    shards of a large set as folders in them; paired by file name.

    Raises SampleMismatchError where an input lacks a sample that another one has, or where there is none at all.
    """
    names = [{file.name: file for file in folder.rglob("*.npy")} for folder in folders]
    refuse_unpaired([{file.stem for file in found.values()} for found in names], inputs)
    if not names or not names[0]:
        raise SampleMismatchError("there is no sample in the set")
    return [(names[0][name].stem, tuple(found[name] for found in names)) for name in sorted(names[0])]


def refuse_unpaired(names: Sequence[set[str]], inputs: Sequence[InputData]) -> None:
    """Raise SampleMismatchError where an input lacks a sample that another one has; names: of each input's samples."""
    for index, found in enumerate(names[1:], start=1):
        if found == names[0]:
            continue
        first, other = (f"'{inputs[number].name or 'DEFAULT'}'" for number in (0, index))
        alone = [
            f"{_listed(odd)} in the set of input {has} and not in that of {lacks}"
            for odd, has, lacks in ((names[0] - found, first, other), (found - names[0], other, first))
            if odd
        ]
        raise SampleMismatchError(
            "; ".join(alone), hint="files with the same name form one sample; every input needs one of each name"
        )


def _listed(names: set[str]) -> str:
    """`sample 'a' is`, `5 samples ('a', 'b', 'c', ...) are`"""
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:FEW])
    if len(names) == 1:
        return f"sample {shown} is"
    return f"{counted(len(names), 'sample')} ({shown}{', ...' if len(names) > FEW else ''}) are"


def tensor_input(sample: Array, data: InputData) -> Array:
    """What the float model takes in: of an image float32 [1, C, H, W], of a model with its channels last [1, H, W, C],
    = (f32(x) - mean) / std, two IEEE operations.

    A Numpy sample is returned as it is, batch dimension included.
    """
    if data.format != "Image":
        return own_array(sample, data.name)
    pixels = sample.astype(np.float32)
    normal = (pixels - _channels(data.mean, sample, 0.0)) / _channels(data.std, sample, 1.0)
    return np.ascontiguousarray((normal if data.tensor_layout == "NHWC" else normal.transpose(2, 0, 1))[np.newaxis])


def _channels(values: tuple[float, ...], sample: Array, default: float) -> Array:
    """float32 [C] of a mean or std, checked against the sample's channels."""
    channels = sample.shape[-1]
    settled = values or (default,)
    if len(settled) not in (1, channels):
        raise SampleMismatchError(
            f"mean and std have {counted(len(settled), 'value')} and the samples {counted(channels, 'channel')}"
        )
    return np.broadcast_to(np.asarray(settled, dtype=np.float32), (channels,))
