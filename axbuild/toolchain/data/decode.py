"""Stage: a calibration set as its author keeps it -> one array a sample, ready to be normalised."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from axbuild.progress import tell
from axbuild.toolchain.data import arrays, images
from axbuild.toolchain.data.archives import members
from axbuild.toolchain.data.chosen import CalibrationSetError, chosen
from axbuild.toolchain.data.hygiene import Survey
from axbuild.toolchain.data.inputs import record_of, save_sample
from axbuild.toolchain.data.objects import decode_object
from axbuild.toolchain.data.sampled import SampledInput, inputs_of, target_of, targets_of
from axbuild.toolchain.data.shards import write_shards

Decoder = Callable[[bytes, str], images.Picture]

_FORMAT = "set tensor_format to what the model takes in, or give the data as Numpy"
_NHWC = "the model takes its channels last: export it with channels first (NCHW), or give the data as Numpy"


@dataclass(frozen=True)
class DecodeParams:
    """input: a model input's name, "" for the only one or all alike; size: -1 for all.
    format: "Image", "Numpy", "Binary" or "NumpyObject".

    mean, std: what is done to the samples later, for what is to be said of them; they change no sample. apart: inputs
    that "" is not for. part: these are some samples of a set, of which another stage says what is to be said.
    """

    input: str
    format: str
    size: int
    tensor_format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    apart: tuple[str, ...] = ()
    part: bool = False


def decode(source: Path, interface: Path, out: Path, *, params: DecodeParams) -> None:
    """`source`: a folder holding one archive or loose files. Writes samples/<name>.npy, survey.json
    and shards.json.

    Image: uint8 [H, W, C] of the model's size, channels as tensor_format says. Numpy, Binary: the array as it is.
    NumpyObject: the same, of several inputs a record with a field each.
    The first `size` samples by name; fewer where the set has fewer.
    """
    decoder, alone = _decoder(interface, params)
    folder = out / "samples"
    folder.mkdir()
    survey = Survey(alone=alone)
    with members(source) as found:
        samples = chosen(found, params.format, params.size)
        for place, (name, member) in enumerate(samples):
            tell("sample", place + 1, len(samples))
            decoded = decoder(member.read(), member.path)
            survey.see(name, decoded.pixels, decoded.conversions)
            save_sample(folder / f"{name}.npy", decoded.pixels)
    survey.write(out / "survey.json")
    write_shards({"": list(survey.digests)}, out / "shards.json")
    for warning in () if params.part else survey.told(params.size, params.mean, params.std, params.input):
        warnings.warn(warning, stacklevel=1)


def _decoder(interface: Path, params: DecodeParams) -> tuple[Decoder, bool]:
    """What decodes a file of the set, and whether the model takes in nothing else."""
    if params.format == "NumpyObject":
        return _objects(interface, params)
    target = target_of(interface, params.input, params.apart)
    return (_pictures if params.format == "Image" else _arrays)(target, params), target.alone


def _objects(interface: Path, params: DecodeParams) -> tuple[Decoder, bool]:
    wanted = targets_of(interface, params.input, params.apart)
    others = [item.name for item in inputs_of(interface, params.apart)]

    def decoder(content: bytes, name: str) -> images.Picture:
        return images.Picture(record_of(decode_object(content, name, wanted, others)), ())

    return decoder, wanted[0].alone


def _arrays(target: SampledInput, params: DecodeParams) -> Decoder:
    read = arrays.decode_binary if params.format == "Binary" else arrays.decode_array
    return lambda content, name: images.Picture(read(content, name, target.shape, target.dtype, target.name), ())


def _pictures(target: SampledInput, params: DecodeParams) -> Decoder:
    wanted = images.channels(params.tensor_format)
    if len(target.shape) != 4 or target.shape[:2] != (1, wanted):
        raise CalibrationSetError(
            f"pictures in {params.tensor_format} need a model input of shape [1, {wanted}, height, width], "
            f"and '{target.name}' is {list(target.shape)}",
            hint=_NHWC if target.shape[3:] == (wanted,) else _FORMAT,
        )
    size = (target.shape[2], target.shape[3])
    return lambda content, name: images.decode_image(content, name, size, params.tensor_format)
