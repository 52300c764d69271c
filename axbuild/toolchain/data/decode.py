"""Stage: a calibration set as its author keeps it -> one array a sample, ready to be normalised."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from os.path import commonpath
from pathlib import Path, PurePosixPath

import numpy as np

from axbuild.errors import AxError, AxWarning, counted
from axbuild.toolchain.data import arrays, images
from axbuild.toolchain.data.archives import Member, members
from axbuild.toolchain.data.hygiene import Survey

Decoder = Callable[[bytes, str], images.Picture]

_FORMAT = "set tensor_format to what the model takes in, or give the data as Numpy"
_NHWC = "the model takes its channels last: export it with channels first (NCHW), or give the data as Numpy"
LONGEST = 200
"""bytes of a sample's name; file systems take 255 for a file's"""
_SUFFIXES = {"Image": images.SUFFIXES, "Numpy": arrays.SUFFIXES}


class CalibrationSetError(AxError):
    """A set without samples, with samples of another format or of one name twice, or for an input that is not there."""

    code = "AX335"


@dataclass(frozen=True)
class DecodeParams:
    """input: a model input's name, "" for the only one or all alike; format: "Image" or "Numpy"; size: -1 for all.

    mean, std: what is done to the samples later, for what is to be said of them; they change no sample.
    """

    input: str
    format: str
    size: int
    tensor_format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Input:
    name: str
    shape: tuple[int, ...]
    dtype: str
    alone: bool


def decode(source: Path, interface: Path, out: Path, *, params: DecodeParams) -> None:
    """`source`: a folder holding one archive or loose files. Writes samples/<name>.npy.

    Image: uint8 [H, W, C] of the model's size, channels as tensor_format says. Numpy: the array as it is.
    The first `size` samples by name; fewer where the set has fewer.
    """
    target = _target(interface, params)
    decoder = _decoder(target, params)
    folder = out / "samples"
    folder.mkdir()
    survey = Survey(params.mean, params.std, alone=target.alone)
    with members(source) as found:
        for name, member in _chosen(found, params):
            decoded = decoder(member.read(), member.path)
            survey.see(name, decoded.pixels, decoded.conversions)
            np.save(folder / f"{name}.npy", decoded.pixels, allow_pickle=False)
    for warning in survey.told(params.size):
        warnings.warn(warning, stacklevel=1)


def _target(interface: Path, params: DecodeParams) -> _Input:
    described = json.loads(interface.read_text(encoding="utf-8"))["inputs"]
    inputs = [_Input(item["name"], tuple(item["shape"]), item["dtype"], len(described) == 1) for item in described]
    names = ", ".join(item.name for item in inputs)
    if params.input:
        found = [item for item in inputs if item.name == params.input]
        if not found:
            raise CalibrationSetError(f"calibration names the input '{params.input}'; the model's inputs are {names}")
        return found[0]
    if any((item.shape, item.dtype) != (inputs[0].shape, inputs[0].dtype) for item in inputs):
        raise CalibrationSetError(
            f"one calibration set cannot serve the inputs {names}, which differ in shape or type",
            hint='give each its own: calibration = { "input name" = ":set" }',
        )
    return inputs[0]


def _decoder(target: _Input, params: DecodeParams) -> Decoder:
    if params.format == "Numpy":
        return lambda content, name: images.Picture(
            arrays.decode_array(content, name, target.shape, target.dtype, target.name), ()
        )
    wanted = images.channels(params.tensor_format)
    if len(target.shape) != 4 or target.shape[:2] != (1, wanted):
        raise CalibrationSetError(
            f"pictures in {params.tensor_format} need a model input of shape [1, {wanted}, height, width], "
            f"and '{target.name}' is {list(target.shape)}",
            hint=_NHWC if target.shape[3:] == (wanted,) else _FORMAT,
        )
    size = (target.shape[2], target.shape[3])
    return lambda content, name: images.decode_image(content, name, size, params.tensor_format)


def _chosen(found: list[Member], params: DecodeParams) -> list[tuple[str, Member]]:
    """(sample name, file) of the first `size` samples by name."""
    own = [item for item in found if item.name.lower().endswith(_SUFFIXES[params.format])]
    taken = {id(item) for item in own}
    others = [item for item in found if id(item) not in taken]
    for item in others:
        for other, suffixes in _SUFFIXES.items():
            if item.name.lower().endswith(suffixes):
                raise CalibrationSetError(
                    f"'{item.path}' is of format {other} and the set is of format {params.format}",
                    hint="a calibration set holds samples of one format",
                )
    if not own:
        raise CalibrationSetError(
            f"the calibration set has no sample of format {params.format} among {counted(len(found), 'file')}",
            hint=f"such as '{others[0].path}'; samples end in {', '.join(_SUFFIXES[params.format])}" if others else "",
        )
    if others:
        sentence = (
            f"a calibration set has {counted(len(others), 'file')} that are no samples and left out, "
            f"such as '{others[0].path}'"
        )
        warnings.warn(AxWarning("AX336", sentence), stacklevel=2)
    return _named(own)[: params.size if params.size >= 0 else None]


def _named(found: list[Member]) -> list[tuple[str, Member]]:
    """Samples by the name of their file alone, in whatever folder it stands: inputs are paired by it. Where names
    repeat, as in a folder a class, by the names of the folders too."""
    plain = [PurePosixPath(item.name).with_suffix("").parts for item in found]
    whole = len({parts[-1] for parts in plain}) < len(plain)
    shared = len(PurePosixPath(commonpath(["/".join(parts[:-1]) for parts in plain])).parts) if whole else 0
    named: dict[str, Member] = {}
    for item, parts in zip(found, plain, strict=True):
        name = _fitting("__".join(parts[shared:])) if whole else parts[-1]
        if name in named:
            raise CalibrationSetError(f"'{named[name].path}' and '{item.path}' are samples of one name")
        named[name] = item
    return sorted(named.items())


def _fitting(name: str) -> str:
    """The name, or of one that is too long for a file its end and what tells it apart."""
    content = name.encode()
    if len(content) <= LONGEST:
        return name
    return f"{sha256(content).hexdigest()[:16]}__{content[-LONGEST // 2 :].decode(errors='ignore')}"
