"""`io_data`: what a quantised model and the float one it was made from take in and give, as files."""

from __future__ import annotations

from axbuild.dataclass import dataclass
from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Settled, Stage, rule

from ._evaluation import declared_samples, evaluation_samples, measurable, measured_model
from .samples import input_data

IO_DATA = Stage("axbuild.toolchain.precision.io_data:io_data", float=True, outputs=("io/",))


@dataclass(frozen=True)
class IoData:
    """The tree `io/`: float/ and quant/ with a .npy file a tensor, and io.json, which says which is which."""

    folder: Artifact


@rule
class io_data:
    """Write what the float model and the quantised one take in and give for the first sample, a .npy file a tensor, to
    hold one's own pre-processing and post-processing against.

    quant/ holds what `quant_axmodel.onnx` itself has at its border, as float/ does of the float model: the same types,
    so that the two compare element by element. A name that no file may have is written with "_"; io.json says which
    tensor is where.
    """

    example = "io"
    gives = IoData

    quant = measured_model()
    samples = declared_samples("Data of which the first sample, by name, is taken")

    def actions(self, t: Settled, plan: Plan) -> IoData:
        quant = measurable(t)
        bound = evaluation_samples(t, plan, quant)
        done = plan.run(
            IO_DATA,
            model=quant.source.model,
            quantised=quant.model,
            samples=[one.samples for one in bound.values()],
            params={"inputs": input_data(bound)},
        )
        plan.output("io/", done)
        return IoData(done.only)
