"""Input processors: what the run-time input looks like, and what they inherit from the calibration set."""

from __future__ import annotations

from typing import Any

from axbuild.errors import AxError
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import DEFAULT, Choice, Floats, Record, Records, Settled, String, attributes_of

from ._nouns import BoundSamples, QuantModel

_AUTO = "AutoColorSpace"
_REVERSIBLE = {"BGR", "RGB"}
_FORMATS = (_AUTO, "BGR", "RGB", "GRAY")


class ProcessorEntry:
    """The run-time form of one model input."""

    tensor_name = String('Name of the model input, or "DEFAULT" for all.', default=DEFAULT)
    tensor_format = Choice(
        "Channel order of the model; AutoColorSpace takes the calibration set's.", _FORMATS, default=_AUTO
    )
    src_format = Choice(
        "Channel order of the run-time input, BGR or RGB whichever the model has; AutoColorSpace is the model's.",
        _FORMATS,
        default=_AUTO,
    )
    src_dtype = Choice("Type of the run-time input.", ("FP32", "U8"), default="FP32")
    src_layout = Choice("Layout of the run-time input.", ("NCHW", "NHWC"), default="NCHW")
    mean = Floats("Subtracted at run time; the calibration set's where nothing is given.")
    std = Floats("Divides at run time; the calibration set's where nothing is given.")


_UNWRITTEN = {name: field.default for name, field in attributes_of(ProcessorEntry).items()}


def declared(**common: Any) -> Records:
    """The attribute `input_processors`."""
    about = "Layout, type and normalisation of the run-time inputs; FP32, NCHW where nothing is given."
    example = [{"tensor_name": DEFAULT, "src_dtype": "U8", "src_layout": "NHWC"}]
    return Records(about, ProcessorEntry, vendor="input_processors", example=example, **common)


def settle(t: Settled, quant: QuantModel) -> list[dict[str, Any]]:
    """One processor for each calibrated input, as parameters; a setting that contradicts calibration is an error."""
    given: dict[str, Record] = {}
    for processor in t.input_processors:
        if processor.tensor_name in given:
            raise t.error("input_processors", f"two input_processors are for '{processor.tensor_name}'", code="AX115")
        given[processor.tensor_name] = processor
    calibrated = quant.samples
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


def not_calibrated(t: Settled, attribute: str, name: str, quant: QuantModel) -> AxError:
    """The error about an input's name that the quantised model's calibration does not know."""
    hint = f"the calibrated inputs are: {', '.join(quant.samples)}"
    return t.error(attribute, f"{attribute} names '{name}', which has no calibration set", hint=hint, code="AX115")


def _settled(t: Settled, name: str, processor: Record | None, samples: BoundSamples) -> dict[str, Any]:
    tensor_format, src_format = _formats(t, processor, samples)
    for field in ("mean", "std"):
        _agree(t, field, processor, samples)
    written = processor.as_dict() if processor else _UNWRITTEN
    normal = {"mean": list(samples.mean), "std": list(samples.std)}
    return written | normal | {"tensor_name": name, "tensor_format": tensor_format, "src_format": src_format}


def _formats(t: Settled, processor: Record | None, samples: BoundSamples) -> tuple[str, str]:
    """(the model's order of channels, the run-time input's)"""
    own = processor.tensor_format if processor else _AUTO
    if _AUTO not in (own, samples.tensor_format) and own != samples.tensor_format:
        sentence = f"tensor_format is {own} here and {samples.tensor_format} in the calibration set"
        raise t.error("input_processors", sentence, hint="write it in the calibration set only", code="AX115")
    settled: str = samples.tensor_format if own == _AUTO else own
    source = processor.src_format if processor else _AUTO
    if source in (_AUTO, settled):
        return settled, settled
    if {source, settled} != _REVERSIBLE:
        sentence = f"src_format {source} with tensor_format {settled}: only BGR and RGB become each other"
        raise t.error("input_processors", sentence, hint=f"feed {settled}, or leave src_format out", code="AX119")
    return settled, source


def _agree(t: Settled, field: str, processor: Record | None, samples: BoundSamples) -> None:
    own: tuple[float, ...] = getattr(processor, field) if processor else ()
    if not own:
        return
    neutral = 0.0 if field == "mean" else 1.0
    calibrated: tuple[float, ...] = getattr(samples, field)
    if (own if len(own) > 1 else own * max(len(calibrated), 1)) == (calibrated or (neutral,) * len(own)):
        return
    if samples.format == "Numpy":
        hint = "arrays are calibrated as they are, so nothing may be normalised at run time"
    else:
        hint = "write it in the calibration set only"
    sentence = f"{field} is {shown(own)} here and {shown(calibrated)} in the calibration set"
    raise t.error("input_processors", sentence, hint=hint, code="AX115")
