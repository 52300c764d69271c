"""`check`: does the simulated axmodel answer as the quantised model does?"""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Entry
from axbuild.workspace.attributes import shown
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import DEFAULT, Choice, Float, Label, LabelMap, Settled, Stage, rule

from ._nouns import AxModel, BoundSamples, QuantModel, Samples
from ._processors import not_calibrated
from .quant_model import decode, input_data

SIMULATE = Stage("axbuild.toolchain.axmodel.simulate:simulate", outputs=("outputs/",))
REFERENCE = Stage("axbuild.toolchain.axmodel.reference:reference", outputs=("outputs/",))
FOLLOW = Stage("axbuild.toolchain.axmodel.follow:follow", float=True, outputs=("boundaries/", "outputs/"))
SIMULATE_PARTS = Stage("axbuild.toolchain.axmodel.simulate_parts:simulate_parts", outputs=("outputs/",))
ANSWERS = Stage("axbuild.toolchain.axmodel.answers:answers", expands=True)
COMPARE = Stage("axbuild.toolchain.axmodel.compare:compare", outputs=("verdict.json",))

_LEVEL_OF = {"rtol": "close", "atol": "close", "cosine": "cosine"}


@rule
class check:
    """Compare every output of the simulated axmodel with the quantised model's; `build` and `test` judge the result."""

    example = "check"
    gives = Verdict

    axmodel = Label("The axmodel.", provides=AxModel, required=True, example=":axmodel")
    level = Choice(
        "close: |a - b| <= atol + rtol |b|. equal: bit for bit. cosine: cosine of each output at least `cosine`.",
        ("close", "equal", "cosine"),
        required=True,
        example="close",
    )
    rtol = Float("Relative tolerance of level close.", low=0, default=1e-5)
    atol = Float("Absolute tolerance of level close.", low=0, default=0.0)
    cosine = Float("Smallest cosine of level cosine.", low=-1, high=1, default=0.999)
    samples = LabelMap(
        "Data to compare on, as in quant_model; the calibration data where nothing is given.",
        provides=Samples,
        example=":calib",
    )

    def actions(self, t: Settled, plan: Plan) -> Verdict:
        for name, level in _LEVEL_OF.items():
            if t.given(name) and t.level != level:
                hint = f"{name} belongs to level {shown(level)}"
                raise t.error(name, f"{name} has no effect with level {shown(t.level)}", hint=hint)
        bound = self._samples(t, plan)
        samples = [data.samples for data in bound.values()]
        inputs = input_data(bound)
        answers = plan.expand(
            ANSWERS,
            axmodel=t.axmodel.axmodel,
            model=t.axmodel.quant.model,
            partition=t.axmodel.partition,
            samples=samples,
            params={"inputs": inputs, "input_processors": t.axmodel.settings.input_processors},
        ).result
        for processor in t.axmodel.settings.input_processors:
            data = bound.get(processor["tensor_name"]) or bound.get(DEFAULT)
            if data is not None and data.format == "Numpy" and processor["src_dtype"] == "U8":
                sentence = f"the axmodel takes U8 for '{processor['tensor_name']}', and its samples are float arrays"
                hint = 'compare an axmodel with src_dtype = "FP32", or use samples of format Image'
                raise t.error("axmodel", sentence, hint=hint, code="AX115")
        limits = {name: getattr(t, name) if t.level == level else 0.0 for name, level in _LEVEL_OF.items()}
        compared = plan.run(
            COMPARE,
            simulated=Entry(answers, "simulated/"),
            reference=Entry(answers, "reference/"),
            params={"level": t.level} | limits,
        )
        plan.output("verdict.json", compared)
        plan.verdict(compared)
        return Verdict(compared.only)

    def _samples(self, t: Settled, plan: Plan) -> dict[str, BoundSamples]:
        quant: QuantModel = t.axmodel.quant
        if not t.samples:
            return quant.samples
        for key in t.samples.keys() - quant.samples.keys() - {DEFAULT}:
            if DEFAULT not in quant.samples:
                raise not_calibrated(t, "samples", key, quant)
        chosen: dict[str, Samples] = {}
        for key in sorted(quant.samples.keys() | t.samples.keys()):
            found = t.samples.get(key) or t.samples.get(DEFAULT)
            if found is None and key != DEFAULT:
                raise t.error("samples", f"samples has no set for the input '{key}'", code="AX106")
            if found is not None and (key != DEFAULT or DEFAULT in quant.samples):
                _check_form(t, quant.samples.get(key) or quant.samples[DEFAULT], found)
                chosen[key] = found
        return {key: decode(plan, key, samples, quant.source) for key, samples in chosen.items()}


def _check_form(t: Settled, calibrated: BoundSamples, chosen: Samples) -> None:
    for name in ("format", "tensor_format", "mean", "std"):
        mine, theirs = getattr(chosen, name), getattr(calibrated, name)
        if mine != theirs:
            sentence = f"{name} is {shown(mine)} in the samples and {shown(theirs)} in the calibration set"
            raise t.error("samples", sentence, code="AX115")
