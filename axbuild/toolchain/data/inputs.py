"""From decoded samples to what a model or a session takes in; observation, simulation and reference share it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from axbuild.errors import AxError, counted
from axbuild.toolchain.graph import Array


class SampleMismatchError(AxError):
    """A sample that does not fit the input it is meant for, or that has no partner of the same name."""

    code = "AX330"


@dataclass(frozen=True)
class InputData:
    """How the decoded samples of one model input become its tensor.

    format: "Image" (uint8 HWC pictures, still to be normalised) or "Numpy" (the input's own values, used as they are).
    mean, std: one value a channel in the sample's channel order, or one for all; empty: 0 and 1. In pixel units.
    """

    name: str
    format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class InputProcessor:
    """What a compiled model does to one of its inputs before the float model's own begins.

    tensor_name: the input, "DEFAULT" for every one without an entry of its own; src_dtype: "U8" or "FP32";
    src_layout: "NHWC" or "NCHW"; mean, std: as in InputData, empty where nothing is normalised.
    """

    tensor_name: str
    tensor_format: str
    src_format: str
    src_dtype: str
    src_layout: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def reverses(self) -> bool:
        """Whether the run-time input has the channels in the other order: BGR where the model has RGB, or RGB."""
        return self.src_format != self.tensor_format


def processor_of(name: str, processors: tuple[InputProcessor, ...]) -> InputProcessor | None:
    """The entry for an input, or the "DEFAULT" one."""
    by_name = {item.tensor_name: item for item in processors}
    return by_name.get(name, by_name.get("DEFAULT"))


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
    """One `samples/<name>.npy`: uint8 [H, W, C] of an image, or the input's own array."""
    sample: Array = np.load(file, allow_pickle=False)
    return sample


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
        if odd := sorted(found ^ names[0]):
            has, lacks = (0, index) if odd[0] in names[0] else (index, 0)
            first, other = (inputs[number].name or "DEFAULT" for number in (has, lacks))
            raise SampleMismatchError(
                f"sample '{odd[0]}' is in the set of input '{first}' and not in that of '{other}'",
                hint="files with the same name form one sample; every input needs one of each name",
            )


def tensor_input(sample: Array, data: InputData) -> Array:
    """What the float model takes in: of an image float32 [1, C, H, W] = (f32(x) - mean) / std, two IEEE operations.

    A Numpy sample is returned as it is, batch dimension included.
    """
    if data.format != "Image":
        return sample
    pixels = sample.astype(np.float32)
    normal = (pixels - _channels(data.mean, sample, 0.0)) / _channels(data.std, sample, 1.0)
    return np.ascontiguousarray(normal.transpose(2, 0, 1)[np.newaxis])


def source_input(sample: Array, data: InputData, dtype: str, layout: str, *, reverses: bool = False) -> Array:
    """What a compiled model takes in, which normalises by itself: [1, H, W, C] or [1, C, H, W], uint8 or float32.

    dtype: numpy's name of the session input's dtype; layout: "NHWC" or "NCHW"; reverses: as InputProcessor has it. A
    Numpy sample is in the float model's layout and only moved; raises SampleMismatchError where it is not of the
    session's dtype.
    """
    if data.format == "Image":
        batch = (sample[..., ::-1] if reverses else sample)[np.newaxis].astype(dtype)
        return np.ascontiguousarray(batch if layout == "NHWC" else batch.transpose(0, 3, 1, 2))
    if sample.dtype != np.dtype(dtype):
        raise SampleMismatchError(
            f"input '{data.name}' of the compiled model is {dtype} and its Numpy samples are {sample.dtype}",
            hint="use src_dtype = 'FP32' in input_processors, or samples of format Image",
        )
    if reverses:
        sample = sample[:, ::-1]
    turned = layout == "NHWC" and sample.ndim == 4
    return np.ascontiguousarray(sample.transpose(0, 2, 3, 1) if turned else sample)


def _channels(values: tuple[float, ...], sample: Array, default: float) -> Array:
    """float32 [C] of a mean or std, checked against the sample's channels."""
    channels = sample.shape[-1]
    settled = values or (default,)
    if len(settled) not in (1, channels):
        raise SampleMismatchError(
            f"mean and std have {counted(len(settled), 'value')} and the samples {counted(channels, 'channel')}"
        )
    return np.broadcast_to(np.asarray(settled, dtype=np.float32), (channels,))
