"""`check`: does the simulated axmodel answer as the quantised model does?"""

from __future__ import annotations

import re

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Entry
from axbuild.workspace.attributes import shown
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import DEFAULT, Choice, Float, Label, Settled, Stage, Strings, rule

from ._evaluation import declared_samples, evaluation_samples
from ._nouns import AxModel
from .samples import input_data

SIMULATE = Stage("axbuild.toolchain.axmodel.simulate:simulate", outputs=("outputs/",))
REFERENCE = Stage("axbuild.toolchain.axmodel.reference:reference", outputs=("outputs/",))
FOLLOW = Stage("axbuild.toolchain.axmodel.follow:follow", float=True, outputs=("boundaries/", "outputs/"))
SIMULATE_PARTS = Stage("axbuild.toolchain.axmodel.simulate_parts:simulate_parts", outputs=("outputs/",))
ANSWERS = Stage("axbuild.toolchain.axmodel.answers:answers", expands=True)
COMPARE = Stage("axbuild.toolchain.axmodel.compare:compare", outputs=("verdict.json",))

OUTPUTS, LAYERS = "CheckOutput", "CheckPerLayer"
_LEVEL_OF = {"rtol": "close", "atol": "close", "cosine": "cosine"}


@rule
class check:
    """Compare every output of the simulated axmodel with the quantised model's; `build` and `test` judge the result.

    This asks whether the compiler kept the quantised model; what quantisation cost against the float model is measured
    by a precision_check.
    """

    example = "check"
    gives = Verdict

    axmodel = Label("The axmodel.", provides=AxModel, required=True, example=":axmodel")
    level = Choice(
        "close: |a - b| <= atol + rtol |b|. equal: bit for bit. cosine: cosine of each output at least `cosine`.",
        ("close", "equal", "cosine"),
        required=True,
        example="close",
    )
    mode = Choice(
        "CheckOutput: the model's outputs. CheckPerLayer: every tensor inside the NPU's programs too; the first that "
        "fails is named.",
        (OUTPUTS, LAYERS),
        default=OUTPUTS,
        vendor="compiler.check_mode",
    )
    rtol = Float("Relative tolerance of level close.", low=0, default=1e-5, vendor="compiler.check_rtol")
    atol = Float("Absolute tolerance of level close.", low=0, default=0.0, vendor="compiler.check_atol")
    cosine = Float(
        "Smallest cosine of level cosine.", low=-1, high=1, default=0.999, vendor="compiler.check_cosine_simularity"
    )
    tensor_black_list = Strings(
        "Regular expressions; a tensor whose whole name one of them matches is not compared.",
        vendor="compiler.check_tensor_black_list",
        example=[".*Add.*"],
    )
    samples = declared_samples("Data to compare on")

    def actions(self, t: Settled, plan: Plan) -> Verdict:
        for name, level in _LEVEL_OF.items():
            if t.given(name) and t.level != level:
                hint = f"{name} belongs to level {shown(level)}"
                raise t.error(name, f"{name} has no effect with level {shown(t.level)}", hint=hint)
        for pattern in t.tensor_black_list:
            if fault := _fault(pattern):
                raise t.error("tensor_black_list", f"'{pattern}' is no regular expression: {fault}", code="AX106")
        bound = evaluation_samples(t, plan, t.axmodel.quant)
        samples = [data.samples for data in bound.values()]
        inputs = input_data(bound)
        answers = plan.expand(
            ANSWERS,
            axmodel=t.axmodel.axmodel,
            model=t.axmodel.quant.model,
            partition=t.axmodel.partition,
            samples=samples,
            params={
                "inputs": inputs,
                "input_processors": t.axmodel.settings.input_processors,
                "layers": t.mode == LAYERS,
                "processed": bool(t.axmodel.settings.output_processors),
            },
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
            params={"level": t.level, "layers": t.mode == LAYERS, "tensor_black_list": t.tensor_black_list} | limits,
        )
        plan.output("verdict.json", compared)
        plan.verdict(compared)
        return Verdict(compared.only)


def _fault(pattern: str) -> str:
    """Why it is no regular expression; "" where it is one."""
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""
