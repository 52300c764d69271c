"""The data that a compiled or quantised model is judged on: as in calibration, or other data of the same form."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import DEFAULT, Label, LabelMap, Settled

from ._nouns import AxModel, BoundSamples, Compilable, QuantAxModel, QuantModel, Samples
from ._processors import not_calibrated
from .samples import bind, decode, form_of
from .samples import input_data as input_data  # rules of a workspace's own import it from here


def measured_model(*also: type) -> Label:
    """The attribute `quant` of rules that measure. also: what else such a rule takes."""
    return Label(
        "The quantised model, or an axmodel made from it.",
        provides=(QuantModel, AxModel, *also),
        required=True,
        example=":quant",
    )


def measurable(t: Settled) -> QuantModel:
    """The quantised model behind the attribute `quant`, which is measured against its float model."""
    quant: Compilable = t.quant.quant if isinstance(t.quant, AxModel) else t.quant
    if isinstance(quant, QuantAxModel):
        sentence = (
            f"{t.plain('quant')} was compiled from a quantised model alone, and its precision is measured against"
        )
        hint = "measure where it is quantised: name that quant_model, or an axmodel made from it"
        raise t.error("quant", f"{sentence} the float model", hint=hint, code="AX591")
    return quant


def declared_samples(about: str) -> LabelMap:
    """The attribute `samples`."""
    return LabelMap(
        f"{about}, as in quant_model; the calibration data where nothing is given.", provides=Samples, example=":calib"
    )


def evaluation_samples(t: Settled, plan: Plan, quant: Compilable) -> dict[str, BoundSamples]:
    """The samples by calibration key; an error where a set's form is not the calibrated one."""
    if not t.samples:
        return quant.samples
    if not quant.samples:
        sentence = "samples are read as the calibration data was, and the quantised model came without it"
        raise t.error("samples", sentence, hint="give its quant_axmodel a `calibration`, too", code="AX591")
    states = quant.state.values() if isinstance(quant, QuantModel) else ()
    calibrated = {key: samples for key, samples in quant.samples.items() if key not in states}
    for key in t.samples.keys() - calibrated.keys() - {DEFAULT}:
        if key in states:
            raise t.error("samples", f"the input '{key}' is a state and takes no samples", code="AX115")
        if DEFAULT not in calibrated:
            raise not_calibrated(t, "samples", key, quant)
    chosen: dict[str, Samples] = {}
    for key in sorted(calibrated.keys() | t.samples.keys()):
        found = t.samples.get(key) or t.samples.get(DEFAULT)
        if found is None and key != DEFAULT:
            raise t.error("samples", f"samples has no set for the input '{key}'", code="AX106")
        if found is not None and (key != DEFAULT or DEFAULT in calibrated):
            _check_form(t, calibrated.get(key) or calibrated[DEFAULT], found)
            chosen[key] = found
    if isinstance(quant, QuantModel):
        return bind(plan, quant.source, chosen, quant.state)
    return {key: decode(plan, key, samples, quant.interface) for key, samples in chosen.items()}


def _check_form(t: Settled, calibrated: BoundSamples, chosen: Samples) -> None:
    for name in ("format", "tensor_format", "tensor_layout", "mean", "std"):
        mine = form_of(chosen) if name == "format" else getattr(chosen, name)
        theirs = getattr(calibrated, name)
        if mine != theirs:
            sentence = f"{name} is {shown(mine)} in the samples and {shown(theirs)} in the calibration set"
            raise t.error("samples", sentence, code="AX115")
