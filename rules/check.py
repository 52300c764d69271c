"""`check`: does the simulated axmodel answer as the quantised model does?"""

from __future__ import annotations

import re

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact, Entry
from axbuild.workspace.attributes import shown
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import DEFAULT, Choice, Float, Label, Settled, Stage, Strings, rule

from ._evaluation import declared_samples, evaluation_samples
from ._nouns import AxModel, BoundSamples, Subgraphs
from .samples import input_data
from .shapes import behind, samples_at, shown_sizes

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
        for processor in t.axmodel.settings.input_processors:
            data = bound.get(processor["tensor_name"]) or bound.get(DEFAULT)
            if data is not None and data.format == "Numpy" and processor["src_dtype"] == "U8":
                sentence = f"the axmodel takes U8 for '{processor['tensor_name']}', and its samples are float arrays"
                hint = 'compare an axmodel with src_dtype = "FP32", or use samples of format Image'
                raise t.error("axmodel", sentence, hint=hint, code="AX115")
        groups: tuple[Subgraphs, ...] = t.axmodel.groups
        own = self._compared(t, plan, 0, bound)
        for number, group in enumerate(groups[1:], start=1):
            fitting, how = samples_at(plan, bound, group.quant, number)
            about = f"shape group {number} ({shown_sizes(group.settings.shapes)}; {how}): "
            self._compared(t, plan, number, fitting, about)
        return Verdict(own)

    def _compared(
        self, t: Settled, plan: Plan, number: int, bound: dict[str, BoundSamples], about: str = ""
    ) -> Artifact:
        """The verdict on one shape group."""
        group: Subgraphs = t.axmodel.groups[number]
        end, layers = behind(number), t.mode == LAYERS
        answers = plan.expand(
            ANSWERS,
            name=f"answers{end}",
            axmodel=t.axmodel.axmodel,
            model=group.quant.model,
            partition=group.partition,
            samples=[data.samples for data in bound.values()],
            params={
                "inputs": input_data(bound),
                "input_processors": group.settings.input_processors,
                "layers": layers,
                "processed": bool(group.settings.output_processors),
                "shape_group": number,
            },
        ).result
        limits = {name: getattr(t, name) if t.level == level else 0.0 for name, level in _LEVEL_OF.items()}
        judged = t.only("level", "tensor_black_list") | {"layers": layers, "about": about} | limits
        compared = plan.run(
            COMPARE,
            name=f"compare{end}",
            simulated=Entry(answers, "simulated/"),
            reference=Entry(answers, "reference/"),
            params=judged,
        ).only
        plan.output(f"verdict{end}.json", compared)
        plan.verdict(compared)
        return compared


def _fault(pattern: str) -> str:
    """Why it is no regular expression; "" where it is one."""
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""
