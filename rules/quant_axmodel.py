"""`quant_axmodel`: a model that is quantised already, from a file of an earlier build, as what axmodels are made of."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import as_tree
from axbuild.workspace.disk import FILE, Disk, kind
from axbuild.workspace.rule import LabelMap, Records, Settled, Shapes, Source, Stage, rule

from ._external_data import external_data_files
from ._nouns import QuantAxModel, Samples
from .mixed_precision import QuantOpProcessor, op_patches
from .samples import decode

READ = Stage(
    "axbuild.toolchain.quant.read_quantised:read_quantised",
    outputs=("quant_axmodel.onnx", "quant_axmodel.json", "outline/", "interface.json"),
)


def quantised_files(disk: Disk, path: str) -> list[str]:
    """What belongs to a quantised model: its external data, and its records where they are beside it."""
    records = f"{path.removesuffix('.onnx')}.json"
    return [*external_data_files(disk, path), *([records] if kind(disk, records) == FILE else [])]


@rule
class quant_axmodel:
    """A quantised model that an earlier build wrote, to be compiled for more chips, modes and batches: nothing is
    quantised again, and the float model and its data are not needed.

    What only these tell is not to be had: further shapes of the inputs, precision against the float model, and the CPU
    for an operator whose weights a chip's NPU does not take.
    """

    example = "quantised"
    gives = QuantAxModel

    src = Source(
        "The file quant_axmodel.onnx, with its quant_axmodel.json beside it; external data files come along.",
        one_file=True,
        companions=quantised_files,
        required=True,
        vendor="input",
        example="quant_axmodel.onnx",
    )
    calibration = LabelMap(
        "The data that the model was quantised with, where it is at hand, as in quant_model: checks compare on it, and "
        "input_processors take mean, std and tensor_format from it. Without it they say these themselves, and checks "
        "compare on random samples.",
        provides=Samples,
        vendor="quant.input_configs",
        example=":calib",
    )
    input_shapes = Shapes(
        "What the inputs must be; an error where the model was quantised at another shape.",
        vendor="input_shapes",
        example={"input": [1, 3, 224, 224]},
    )
    quant_op_processors = Records(
        "As in quant_model: attributes of operators to overwrite.",
        QuantOpProcessor,
        vendor="quant_op_processors",
        example=[{"op_name": "MaxPool_3", "attrs": {"pads": [0, 0, 1, 1]}}],
    )

    def actions(self, t: Settled, plan: Plan) -> QuantAxModel:
        params = t.only("input_shapes") | {"quant_op_processors": op_patches(t)}
        done = plan.run(READ, model=as_tree(t.src), params=params)
        plan.output("quant/quant_axmodel.onnx", done["quant_axmodel.onnx"])
        plan.output("quant/quant_axmodel.json", done["quant_axmodel.json"])
        interface = done["interface.json"]
        bound = {key: decode(plan, key, samples, interface) for key, samples in t.calibration.items()}
        return QuantAxModel(done["quant_axmodel.onnx"], done["quant_axmodel.json"], done["outline/"], interface, bound)
