"""A rule of this workspace: what a model is for, measured before and after quantisation."""

from axbuild.rules import AxModel, QuantModel, declared_samples, evaluation_samples, input_data
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Choice, Float, Label, Source, Stage, String, rule

MEASURE = Stage("./task_stages.py:measure", float=True, outputs=("verdict.json",))

FIGURES = ("accuracy", "boxes_found", "characters", "lines_found", "neighbours", "notes", "regions_found", "speech")


@rule
class task_check:
    """Do a model's task with the float model and with the quantised one, on labelled samples, and judge the loss."""

    gives = Verdict

    quant = Label("The quantised model, or an axmodel made from it.", provides=(QuantModel, AxModel), required=True)
    samples = declared_samples("Data to measure on")
    labels = Source("A .json file: sample -> what is right.", one_file=True, required=True)
    figure = Choice(
        "What is measured: accuracy: the largest value stands at the label. boxes_found: F1 of boxes that overlap by "
        "half. characters: 1 less the edits for each character read. lines_found: F1 of text marked. neighbours: the "
        "nearest sentence says the same. notes: F1 of keys that sound. regions_found: boxes_found, "
        "each of its label's class. speech: right side of one half.",
        FIGURES,
        required=True,
    )
    output = String("The output that answers; all of them together where nothing is given.")
    max_loss = Float("Largest fall of the figure from float to quantised.", low=0, high=1, required=True)

    def actions(self, t, plan):
        quant = t.quant.quant if isinstance(t.quant, AxModel) else t.quant
        bound = evaluation_samples(t, plan, quant)
        measured = plan.run(
            MEASURE,
            model=quant.source.model,
            quantised=quant.model,
            labels=t.labels,
            samples=[data.samples for data in bound.values()],
            params={"inputs": input_data(bound)} | t.only("figure", "output", "max_loss"),
        )
        plan.output("verdict.json", measured)
        plan.verdict(measured)
        return Verdict(measured.only)
