"""`precision_analysis`: the vendor's table of every operator beside the float model; with limits it is a test."""

from __future__ import annotations

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Choice, Float, Int, Settled, Source, Stage, attributes_of, rule

from ._analysis_data import analysed_samples
from ._evaluation import declared_samples, measurable, measured_model
from ._judged_by_pulsar2 import analysed_by_pulsar2
from ._nouns import AxModel, BoundSamples, Pulsar2AxModel, Pulsar2Quant, QuantModel
from ._npu_backend import edges_on_npu
from .precision_report import COMPARED, measured_edges

ANALYSE = Stage(
    "axbuild.toolchain.analysis.analyse:analyse",
    outputs=("precision_analysis_table.txt", "precision_analysis.mmd", "precision_analysis.json"),
)
JUDGE_ROWS = Stage("axbuild.toolchain.analysis.judge_rows:judge_rows", outputs=("verdict.json",))

NPU_BACKEND = "NPUBackend"
_LIMITS = ("min_cosine", "max_mse", "min_snr_db", "max_step")


@rule
class precision_analysis:
    """Show every operator of the quantised model beside the float model, in the vendor's table and as a graph; with a
    limit `build` and `test` judge it.

    A rerun with another method, other limits or another form measures nothing again, and shares what it measured
    with a `precision_report`.
    """

    example = "analysis"
    gives = Verdict

    quant = measured_model(Pulsar2AxModel, Pulsar2Quant)
    method = Choice(
        "PerLayer: each operator gets the float model's values. EndToEnd: the quantised model runs through.",
        ("PerLayer", "EndToEnd"),
        default="PerLayer",
        vendor="quant.precision_analysis_method",
    )
    mode = Choice(
        "Reference: the quantised model's definition under onnxruntime, wherever operators run. NPUBackend: the "
        "simulated NPU on compiled programs, bit for bit; for an axmodel that has nothing on the CPU.",
        ("Reference", NPU_BACKEND),
        default="Reference",
        vendor="quant.precision_analysis_mode",
    )
    samples = declared_samples("Data to analyse on")
    input_sample_dir = Source(
        "Files to analyse on instead of samples, as the original model takes them: of the calibration set's format, "
        "prepared as it says; of several inputs a folder each, called as the input is.",
        default=[],
        vendor="quant.input_sample_dir",
        example="pictures",
    )
    size = Int("How many samples are compared, the first ones by name; -1 takes all.", low=-1, default=COMPARED)
    judge = Choice(
        "Which rows the limits are for: what the model gives, or every operator.",
        ("outputs", "layers"),
        default="outputs",
    )
    min_cosine = Float(
        "Smallest cosine of a row on all samples together; not judged where nothing is given.",
        low=-1,
        high=1,
        example=0.98,
    )
    max_mse = Float("Largest mean squared error of a row.", low=0, example=0.01)
    min_snr_db = Float("Smallest signal-to-noise ratio of a row, in dB.", example=20.0)
    max_step = Float("Largest error of any element, in quantisation steps of its tensor.", low=0, example=16.0)

    def actions(self, t: Settled, plan: Plan) -> Verdict:
        if isinstance(t.quant, Pulsar2AxModel | Pulsar2Quant):
            return analysed_by_pulsar2(t, plan, t.quant, attributes_of(type(self)))
        limits = t.only(*_LIMITS)
        if t.given("judge") and all(limit is None for limit in limits.values()):
            raise t.error("judge", "judge has no effect without a limit", hint=f"give one of {', '.join(_LIMITS)}")
        if t.size == 0:
            raise t.error("size", "size takes a number of samples, or -1 for all, got 0", code="AX106")
        quant = measurable(t)
        bound = analysed_samples(t, plan, quant)
        edges = (
            self._on_npu(t, plan, quant, bound) if t.mode == NPU_BACKEND else measured_edges(plan, quant, bound, t.size)
        )
        shown = plan.run(ANALYSE, quantised=quant.model, edges=edges, params=t.only("method", "mode"))
        for name in ANALYSE.outputs:
            plan.output(name, shown[name])
        judged = plan.run(JUDGE_ROWS, analysis=shown["precision_analysis.json"], params={"judge": t.judge} | limits)
        if any(limit is not None for limit in limits.values()):
            plan.output("verdict.json", judged)
            plan.verdict(judged)
        return Verdict(judged.only)

    def _on_npu(self, t: Settled, plan: Plan, quant: QuantModel, bound: dict[str, BoundSamples]) -> Outputs:
        if not isinstance(t.quant, AxModel):
            sentence = 'mode "NPUBackend" runs compiled programs, and quant names a quantised model'
            raise t.error("quant", sentence, hint="name the axmodel that was made from it", code="AX115")
        return edges_on_npu(plan, t.quant, quant, bound, t.method, t.size)
