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
_OTHER = {
    "NCHW": "the model takes its channels last: say so by tensor_layout, NHWC",
    "NHWC": "the model takes its channels first: leave tensor_layout NHWC out",
}


@dataclass(frozen=True)
class DecodeParams:
    """input: a model input's name, "" for the only one or all alike; size: -1 for all.
    format: "Image", "Numpy", "Binary" or "NumpyObject".

    mean, std: what is done to the samples later, for what is to be said of them; they change no sample. apart: inputs
    that "" is not for. part: these are some samples of a set, of which another stage says what is to be said.
    tensor_layout: of pictures in the model.
    """

    input: str
    format: str
    size: int
    tensor_format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    apart: tuple[str, ...] = ()
    part: bool = False
    tensor_layout: str = "NCHW"


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
    wanted, shape = images.channels(params.tensor_format), target.shape
    last = params.tensor_layout == "NHWC"
    if len(shape) != 4 or shape[0] != 1 or shape[3 if last else 1] != wanted:
        form = f"[1, height, width, {wanted}]" if last else f"[1, {wanted}, height, width]"
        raise CalibrationSetError(
            f"pictures in {params.tensor_format} need a model input of shape {form}, "
            f"and '{target.name}' is {list(shape)}",
            hint=_OTHER[params.tensor_layout] if shape[1 if last else 3 :][:1] == (wanted,) else _FORMAT,
        )
    size = (shape[1], shape[2]) if last else (shape[2], shape[3])
    return lambda content, name: images.decode_image(content, name, size, params.tensor_format)
