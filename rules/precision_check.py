"""`precision_check`: does the quantised model still answer as the float model does?"""

from __future__ import annotations

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Float, Settled, Stage, String, rule

from ._evaluation import declared_samples, evaluation_samples, measurable, measured_model
from ._nouns import BoundSamples, QuantModel
from .samples import input_data

MEASURE = Stage("axbuild.toolchain.precision.measure:measure", float=True, outputs=("precision.json",))
DRIFT = Stage("axbuild.toolchain.precision.drift:drift", float=True, outputs=("drift.json",))
JUDGE = Stage("axbuild.toolchain.precision.judge:judge", outputs=("verdict.json",))

_LIMITS = ("min_cosine", "min_snr_db", "min_agreement", "min_channel_cosine")


@rule
class precision_check:
    """Compare the quantised model's outputs with the float model's; `build` and `test` judge the result.

    A `check` asks whether the compiler kept the quantised model; this asks what quantisation cost.
    """

    example = "precision"
    gives = Verdict

    quant = measured_model()
    samples = declared_samples("Data to measure on")
    min_cosine = Float("Smallest cosine of any output on any sample.", low=-1, high=1, default=0.99)
    min_snr_db = Float(
        "Smallest signal-to-noise ratio of any output over all samples, in dB; not judged where nothing is given.",
        example=20.0,
    )
    min_agreement = Float(
        "Smallest share of samples whose answer (the place of the largest logit) is the float model's; not judged "
        "where nothing is given.",
        low=0,
        high=1,
        example=0.98,
    )
    min_channel_cosine = Float(
        "Smallest cosine of any channel of an output over all samples (axis 1 of NCHW, elsewhere the last axis): it "
        "sees channels that are lost beside a loud one; not judged where nothing is given.",
        low=-1,
        high=1,
        example=0.9,
    )
    logits = String("The output whose largest value is the answer; the model's only one where nothing is given.")

    def actions(self, t: Settled, plan: Plan) -> Verdict:
        quant = measurable(t)
        bound = evaluation_samples(t, plan, quant)
        measured = measured_precision(plan, quant, bound)
        if quant.state:
            steps = {key: data for key, data in bound.items() if key not in quant.state.values()}
            drift = plan.run(
                DRIFT,
                model=quant.source.model,
                quantised=quant.model,
                samples=[data.samples for data in steps.values()],
                params={"inputs": input_data(steps), "state": quant.state},
            )
            plan.output("drift.json", drift)
        judged = plan.run(JUDGE, measured=measured, params=t.only(*_LIMITS, "logits"))
        plan.output("precision.json", measured)
        plan.output("verdict.json", judged)
        plan.verdict(judged)
        return Verdict(judged.only)


def measured_precision(plan: Plan, quant: QuantModel, bound: dict[str, BoundSamples]) -> Outputs:
    """The one measurement of outputs that checks and reports read."""
    return plan.run(
        MEASURE,
        model=quant.source.model,
        quantised=quant.model,
        samples=[data.samples for data in bound.values()],
        calibration=[data.samples for data in quant.samples.values()],
        params={"inputs": input_data(bound)},
    )
