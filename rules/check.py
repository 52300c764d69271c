"""`check`: does the simulated axmodel answer as the quantised model does?"""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.attributes import shown
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Choice, Float, Label, Settled, Strings, attributes_of, rule

from ._evaluation import declared_samples, evaluation_samples
from ._judged_by_pulsar2 import checked_by_pulsar2
from ._nouns import AxModel, Pulsar2AxModel
from .checking import (
    LAYERS,
    LEVEL_OF,
    LEVELS,
    OUTPUTS,
    answered,
    compared,
    comparison,
    fault_of,
    fitted,
    folder_of,
    sample_files,
)
from .shapes import behind


@rule
class check:
    """Compare every output of the simulated axmodel with the quantised model's; `build` and `test` judge the result.

    This asks whether the compiler kept the quantised model; what quantisation cost against the float model is measured
    by a precision_check.
    """

    example = "check"
    gives = Verdict

    axmodel = Label("The axmodel.", provides=(AxModel, Pulsar2AxModel), required=True, example=":axmodel")
    level = Choice(
        "close: |a - b| <= atol + rtol |b|. equal: bit for bit. cosine: cosine of each output at least `cosine`.",
        LEVELS,
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
    input_sample_dir = sample_files("the compiled model", vendor="compiler.input_sample_dir", example="pictures")

    def actions(self, t: Settled, plan: Plan) -> Verdict:
        for name, level in LEVEL_OF.items():
            if t.given(name) and t.level != level:
                hint = f"{name} belongs to level {shown(level)}"
                raise t.error(name, f"{name} has no effect with level {shown(t.level)}", hint=hint)
        if fault := fault_of(t.tensor_black_list):
            raise t.error("tensor_black_list", fault, code="AX106")
        if isinstance(t.axmodel, Pulsar2AxModel):
            return checked_by_pulsar2(t, plan, t.axmodel, attributes_of(type(self)))
        data = folder_of(t, "input_sample_dir", t.input_sample_dir)
        if data and t.samples:
            raise t.error("samples", "samples have no effect beside input_sample_dir")
        bound = evaluation_samples(t, plan, t.axmodel.quant)
        apart, verdicts = t.axmodel.settings.apart.rest, []
        for group, about, given in fitted(plan, t.axmodel, bound):
            own = None if group else data
            answers = answered(plan, t.axmodel, given, t.mode, group=group, data=own, sub_configs=apart)
            params = comparison(t.level, t.mode, t.only(*LEVEL_OF), t.tensor_black_list, about)
            verdict = compared(plan, answers, params, f"compare{behind(group)}")
            plan.output(f"verdict{behind(group)}.json", verdict)
            verdicts.append(verdict.only)
        return Verdict(verdicts[0])
