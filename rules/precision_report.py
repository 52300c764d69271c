"""`precision_report`: which layers of a quantised model hurt, by how much, and what to write against it."""

from __future__ import annotations

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.rule import Int, Settled, Stage, rule

from ._evaluation import declared_samples, evaluation_samples, measurable, measured_model
from ._nouns import BoundSamples, PrecisionReport, QuantModel
from .precision_check import measured_precision
from .samples import input_data

MEASURE_EDGES = Stage("axbuild.toolchain.precision.measure_edges:measure_edges", float=True, outputs=("edges.json",))
EFFECTS = Stage("axbuild.toolchain.precision.effects:effects", float=True, outputs=("effects.json",))
REPORT = Stage(
    "axbuild.toolchain.precision.report:report",
    outputs=("precision_report.txt", "precision_report.json", "precision_report.html"),
)

COMPARED = 8
"""samples: an edge has many values in each"""


@rule
class precision_report:
    """Show which layers of a quantised model hurt, by how much, and the layer rule that helps each: a table on the
    screen and in a file, and a page with the signal-to-noise ratio along the net.

    The outputs are measured once, together with a `precision_check` on the same samples.
    """

    example = "layers"
    gives = PrecisionReport

    quant = measured_model()
    samples = declared_samples("Data to measure on")
    layers = Int(
        "How many of the layers that hurt most are told on the screen and first on the page.", low=1, default=10
    )

    def actions(self, t: Settled, plan: Plan) -> PrecisionReport:
        quant = measurable(t)
        bound = evaluation_samples(t, plan, quant)
        measured = measured_precision(plan, quant, bound)
        edges = measured_edges(plan, quant, bound, COMPARED)
        effects = _measured(EFFECTS, plan, quant, bound, {})
        params = {"title": f"Precision of {t.label}", "layers": t.layers}
        done = plan.run(REPORT, measured=measured, edges=edges, effects=effects, params=params)
        for name in REPORT.outputs:
            plan.output(name, done[name])
        plan.output("precision.json", measured)
        plan.output("edges.json", edges)
        return PrecisionReport(done["precision_report.json"])


def measured_edges(plan: Plan, quant: QuantModel, bound: dict[str, BoundSamples], size: int) -> Outputs:
    """The one measurement of edges that reports and analyses read; size: of how many samples, -1 for all."""
    return _measured(MEASURE_EDGES, plan, quant, bound, {"size": size})


def _measured(
    stage: Stage, plan: Plan, quant: QuantModel, bound: dict[str, BoundSamples], params: dict[str, int]
) -> Outputs:
    return plan.run(
        stage,
        model=quant.source.model,
        quantised=quant.model,
        samples=[data.samples for data in bound.values()],
        params={"inputs": input_data(bound)} | params,
    )
