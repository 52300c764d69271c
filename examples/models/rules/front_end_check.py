"""A rule of this workspace: does the optimised float model say what the file as it came says?"""

from axbuild.rules import QuantModel, declared_samples, evaluation_samples, input_data
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Float, Label, Source, Stage, Values, rule

COMPARE = Stage("./front_end_check_stages.py:compare", float=True, outputs=("verdict.json",))


@rule
class front_end_check:
    """Compare a model as it came with what the front end made of it, both in float32, on real samples."""

    gives = Verdict

    original = Source("The ONNX file as it came.", one_file=True, required=True)
    quant = Label("The quantised model that was made from it.", provides=QuantModel, required=True)
    samples = declared_samples("Data to compare on")
    fix = Values("Inputs that the float model has no more because it froze them, and their values.")
    max_difference = Float(
        "Largest difference of any value, as a share of its output's largest one.", low=0, default=1e-4
    )

    def actions(self, t, plan):
        bound = evaluation_samples(t, plan, t.quant)
        compared = plan.run(
            COMPARE,
            original=t.original,
            optimized=t.quant.source.model,
            samples=[data.samples for data in bound.values()],
            params={"inputs": input_data(bound)} | t.only("fix", "max_difference"),
        )
        plan.output("verdict.json", compared)
        plan.verdict(compared)
        return Verdict(compared.only)
