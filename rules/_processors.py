"""Input processors: what the run-time input looks like, and what they inherit from the calibration set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.workspace.rule import (
    DEFAULT,
    Choice,
    Float,
    Floats,
    Int,
    Ints,
    Record,
    Records,
    Settled,
    String,
    attributes_of,
)

from ._nouns import BoundSamples, Compilable, Pulsar2Quant, Samples

_AUTO = "AutoColorSpace"
_REVERSED = {"BGR", "RGB"}
_FORMATS = (_AUTO, "BGR", "RGB", "GRAY")
_YUV = ("YUV420SP", "YVU420SP", "YUYV422", "UYVY422")
_NO_CSC, _MATRIX = "NoCSC", "Matrix"
_TYPES = ("FP32", "U8", "S8", "U16", "S16", "U32", "S32", "FP16")
_NCHW, _NHWC = "NCHW", "NHWC"


class ProcessorEntry:
    """The run-time form of one model input."""

    tensor_name = String('Name of the model input, or "DEFAULT" for all.', default=DEFAULT)
    tensor_format = Choice(
        "Channel order of the model; AutoColorSpace takes the calibration set's.", _FORMATS, default=_AUTO
    )
    src_format = Choice(
        "Format of the run-time input; AutoColorSpace is the model's. YUV becomes the model's BGR or RGB: YUV420SP "
        "(NV12), YVU420SP (NV21) as [1, H * 3/2, W, 1], YUYV422 and UYVY422 as [1, H, W, 2]. BGR and RGB do not become "
        "each other: channels are taken as they come, with a warning.",
        (*_FORMATS, *_YUV),
        default=_AUTO,
    )
    tensor_layout = Choice(
        "Layout of the model; a calibration set of pictures may say it as well.", (_NCHW, _NHWC), default=_NCHW
    )
    src_dtype = Choice(
        "Type of the run-time input. It becomes the nearest float32; of an input of whole numbers FP32 stands for the "
        "model's own type, and another type of whole numbers becomes that. U32 is taken up to 2147483647.",
        _TYPES,
        default="FP32",
    )
    src_layout = Choice(
        "Layout of the run-time input; of YUV it is NHWC whatever is said.", (_NCHW, _NHWC), default=_NCHW
    )
    csc_mode = Choice(
        "How YUV becomes the model's colours: BT.601 of levels 0 to 255 or of 16 to 235, or by `csc_mat`.",
        (_NO_CSC, _MATRIX, "FullRange", "LimitedRange"),
        default=_NO_CSC,
    )
    csc_mat = Floats(
        "With Matrix: a row of Y, U, V and a bias for each channel of tensor_format, twelve numbers; the bias is a "
        "fraction of 256 levels."
    )
    slicing = Ints(
        "What is cut off the run-time input first: begin and end of each axis of the model's input, one after another.",
        low=0,
    )
    padding = Ints("What is added then: begin and end of each axis.", low=0)
    padding_mode = Choice("What it is filled with.", ("constant",), default="constant")
    padding_constant_value = Int("The value, as the run-time input holds it.", default=0)
    mean = Floats(
        "Subtracted at run time; the calibration set's where nothing is given. With mean 0 and std 1 nothing is "
        "normalised: what comes in already is. Others than the calibration set's are told by a warning."
    )
    std = Floats("Divides at run time; the calibration set's where nothing is given.")
    scale = Float(
        "Of codes at the run-time input, such as another model's output: they stand for scale (code - zeropoint), and "
        "mean and std, where they are given here, come after that. 0 is none.",
        low=0,
        default=0.0,
    )
    zeropoint = Int("The code that stands for 0.", default=0)


class OutputProcessorEntry:
    """The run-time form of one model output."""

    tensor_name = String('Name of the model output, or "DEFAULT" for all.', default=DEFAULT)
    dst_perm = Ints(
        "The order of its axes at run time, as of a transposition; the model's where nothing is given.", low=0
    )
    output_dtype = Choice(
        "FP32, or U8 for the codes that the NPU computes, whose scale and zero are in quant_axmodel.json.",
        ("FP32", "U8"),
        default="FP32",
    )


_LATER = ("tensor_layout", "scale", "zeropoint")
"""fields that came after models had been built without them"""


@dataclass(frozen=True)
class OwnWord:
    """What a processor says of an input whose calibration is not known; as `Samples` say it."""

    tensor_format: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tensor_layout: str
    format: str = "Image"

    @staticmethod
    def of(processor: Record | None) -> OwnWord:
        if processor is None:
            return OwnWord(_AUTO, (), (), _NCHW)
        return OwnWord(processor.tensor_format, processor.mean, processor.std, processor.tensor_layout)


Calibrated = BoundSamples | Samples | OwnWord
NEUTRAL = {name: field.default for name, field in attributes_of(ProcessorEntry).items()}


def declared(**common: Any) -> Records:
    """The attribute `input_processors`."""
    about = "Layout, type and normalisation of the run-time inputs; FP32, NCHW where nothing is given."
    example = [{"tensor_name": DEFAULT, "src_dtype": "U8", "src_layout": "NHWC"}]
    return Records(about, ProcessorEntry, vendor="input_processors", example=example, **common)


def declared_outputs(**common: Any) -> Records:
    """The attribute `output_processors`."""
    about = "Order of axes and type of the run-time outputs; the model's own and FP32 where nothing is given."
    example = [{"tensor_name": DEFAULT, "dst_perm": [0, 2, 3, 1]}]
    return Records(about, OutputProcessorEntry, vendor="output_processors", example=example, **common)


def settle_outputs(t: Settled) -> list[dict[str, Any]]:
    """The output processors as parameters, by name."""
    _once(t, "output_processors", t.output_processors)
    return sorted((entry.as_dict() for entry in t.output_processors), key=lambda entry: str(entry["tensor_name"]))


def _once(t: Settled, attribute: str, entries: Iterable[Record]) -> dict[str, Record]:
    """Entry by tensor name; two for one are an error."""
    found: dict[str, Record] = {}
    for number, entry in enumerate(entries):
        if entry.tensor_name in found:
            where = f"{attribute}[{number}].tensor_name"
            raise t.error(where, f"two {attribute} are for '{entry.tensor_name}'", code="AX115")
        found[entry.tensor_name] = entry
    return found


def settle(t: Settled, quant: Compilable | Pulsar2Quant) -> list[dict[str, Any]]:
    """One processor for each calibrated input, as parameters; a setting that contradicts calibration is an error. What
    is not calibrated here is as the processors themselves say."""
    given = _once(t, "input_processors", t.input_processors)
    calibrated: Mapping[str, Calibrated] = quant.samples
    if not calibrated:
        calibrated = {name: OwnWord.of(given.get(name)) for name in {DEFAULT, *given}}
    if DEFAULT in calibrated:
        names = {*calibrated, *given}
    else:
        names = set(calibrated)
        for name in given.keys() - names - {DEFAULT}:
            raise not_calibrated(t, "input_processors", name, quant)
        if DEFAULT in given and names <= given.keys():
            sentence = 'the input processor "DEFAULT" has no effect: every input has its own'
            raise t.error("input_processors", sentence)
    return [
        _settled(t, name, given.get(name) or given.get(DEFAULT), calibrated.get(name) or calibrated[DEFAULT])
        for name in sorted(names)
    ]


def not_calibrated(t: Settled, attribute: str, name: str, quant: Compilable | Pulsar2Quant) -> AxError:
    """The error about an input's name that the quantised model's calibration does not know."""
    hint = f"the calibrated inputs are: {', '.join(quant.samples)}"
    return t.error(attribute, f"{attribute} names '{name}', which has no calibration set", hint=hint, code="AX115")


def _settled(t: Settled, name: str, processor: Record | None, samples: Calibrated) -> dict[str, Any]:
    tensor_format, src_format = _formats(t, processor, samples)
    written = processor.as_dict() if processor else NEUTRAL
    # What says nothing is no parameter, so that its key is that of who never heard of it.
    written = {f: v for f, v in written.items() if f != "padding_mode" and not (f in _LATER and v == NEUTRAL[f])}
    mean, std = _normalisation(t, processor, samples)
    settled: dict[str, Any] = {"mean": mean, "std": std, "tensor_name": name}
    if _layout(t, processor, samples) == _NHWC:
        settled |= {"tensor_layout": _NHWC} | ({} if processor else {"src_layout": _NHWC})
    if src_format in _YUV:
        settled["src_layout"] = _NHWC
    if samples.format == "Image" and (written.get("scale") or not _alike(mean, std, samples)):
        settled["pictures"] = False
    return written | settled | {"tensor_format": tensor_format, "src_format": src_format}


def _layout(t: Settled, processor: Record | None, samples: Calibrated) -> str:
    """The model's."""
    own = processor.tensor_layout if processor else _NCHW
    if samples.format == "Image" and (own, samples.tensor_layout) == (_NHWC, _NCHW):
        sentence = "tensor_layout is NHWC here and NCHW in the calibration set"
        raise t.error(
            _at(t, processor, "tensor_layout"), sentence, hint="write it in the calibration set", code="AX115"
        )
    return _NHWC if _NHWC in (own, samples.tensor_layout) else _NCHW


def _normalisation(t: Settled, processor: Record | None, samples: Calibrated) -> tuple[list[float], list[float]]:
    """(mean, std) of what comes in: what is said here, else the calibration set's."""
    if processor is None:
        return list(samples.mean), list(samples.std)
    if any(value <= 0 for value in processor.std):
        raise t.error(_at(t, processor, "std"), "std takes numbers above 0", code="AX106")
    if processor.zeropoint and not processor.scale:
        raise t.error(_at(t, processor, "zeropoint"), "zeropoint has no effect without scale")
    # Codes are no pictures: what pictures were calibrated with is not theirs.
    common = ((), ()) if processor.scale else (samples.mean, samples.std)
    mean, std = (own or other for own, other in zip((processor.mean, processor.std), common, strict=True))
    if _alike(mean, std, samples):
        return list(samples.mean), list(samples.std)
    return list(mean), list(std)


def _alike(mean: Sequence[float], std: Sequence[float], samples: Calibrated) -> bool:
    """Whether that is what the calibration set is normalised by; one number stands for all channels."""
    sides = ((mean, samples.mean, 0.0), (std, samples.std, 1.0))
    return all(_all(own, theirs, neutral) == _all(theirs, own, neutral) for own, theirs, neutral in sides)


def _all(values: Sequence[float], others: Sequence[float], neutral: float) -> tuple[float, ...]:
    found = tuple(values) or (neutral,)
    return found if len(found) > 1 else found * max(len(others), 1)


def unlike(quant: Compilable | Pulsar2Quant, settled: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each processor that does something else to what comes in than calibration did to its samples: what that was,
    as parameters."""
    calibrated: Mapping[str, Calibrated] = quant.samples
    found = []
    for entry in settled:
        samples = calibrated.get(entry["tensor_name"]) or calibrated.get(DEFAULT)
        if samples is None or "scale" in entry or _alike(entry["mean"], entry["std"], samples):
            continue
        said = {"mean": list(samples.mean), "std": list(samples.std), "format": samples.format}
        found.append({"tensor_name": entry["tensor_name"]} | said)
    return found


def _formats(t: Settled, processor: Record | None, samples: Calibrated) -> tuple[str, str]:
    """(the model's order of channels, the run-time input's)"""
    own = processor.tensor_format if processor else _AUTO
    if _AUTO not in (own, samples.tensor_format) and own != samples.tensor_format:
        sentence = f"tensor_format is {own} here and {samples.tensor_format} in the calibration set"
        hint = "write it in the calibration set only"
        raise t.error(_at(t, processor, "tensor_format"), sentence, hint=hint, code="AX115")
    settled: str = samples.tensor_format if own == _AUTO else own
    source = processor.src_format if processor else _AUTO
    _check_conversion(t, processor, source)
    if source in (_AUTO, settled):
        return settled, settled
    if source not in _YUV and {source, settled} != _REVERSED:
        sentence = f"src_format {source} with tensor_format {settled}: only YUV becomes another format"
        hint = f"feed {settled}, or leave src_format out"
        raise t.error(_at(t, processor, "src_format"), sentence, hint=hint, code="AX119")
    return settled, source


def _at(t: Settled, processor: Record | None, field: str) -> str:
    """The place of a processor's field among all."""
    return f"input_processors[{t.input_processors.index(processor)}].{field}" if processor else "input_processors"


def _check_conversion(t: Settled, processor: Record | None, source: str) -> None:
    """Settings of a conversion that contradict each other, or that there is none for."""
    if processor is None:
        return
    if source in _YUV and processor.csc_mode == _NO_CSC:
        hint = "csc_mode: FullRange for most cameras, LimitedRange for video streams, or Matrix"
        where = _at(t, processor, "src_format")
        raise t.error(where, f"src_format {source} needs a csc_mode", hint=hint, code="AX115")
    if source not in _YUV and processor.csc_mode != _NO_CSC:
        sentence = f"csc_mode {processor.csc_mode} has no effect with src_format {source}, which is not converted"
        raise t.error(_at(t, processor, "csc_mode"), sentence)
    if bool(processor.csc_mat) != (processor.csc_mode == _MATRIX):
        sentence = "csc_mat belongs to csc_mode Matrix, and Matrix needs it"
        raise t.error(_at(t, processor, "csc_mode"), sentence, code="AX115")
    if processor.padding_constant_value and not processor.padding:
        where = _at(t, processor, "padding_constant_value")
        raise t.error(where, "padding_constant_value has no effect without padding")
