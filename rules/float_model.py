"""`float_model`: an ONNX file becomes the optimised float graph that everything later starts from."""

from __future__ import annotations

from typing import Any

from axbuild.dataclass import replace
from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import SourceFiles, as_tree
from axbuild.workspace.rule import Bool, Choice, NewNames, Settled, Shapes, Source, Stage, Strings, Values, rule

from ._external_data import external_data_files
from ._nouns import FloatModel, FrontEnd
from ._patching import Patching, patched

OPTIMIZE = Stage(
    "axbuild.toolchain.frontend.optimize:optimize",
    float=True,
    outputs=("optimized/", "interface.json"),
    bounds="optimize",
)
SEPARATE = Stage("axbuild.toolchain.qdq.separate:separate", outputs=("separated/", "given.msgpack"), bounds="optimize")
SLIM = Stage("axbuild.toolchain.frontend.slim:slim", float=True, outputs=("slimmed/",), bounds="optimize")
MODEL_CHECK = Stage(
    "axbuild.toolchain.frontend.model_check:model_check", float=True, outputs=("verdict.json", "tensors/")
)

ENDS = ("input_shapes", "fix", "inputs", "outputs", "rename")
"""attributes that say where a model begins and ends: `Ends` of the front end"""


@rule
class float_model(Patching):
    """A float model: load it, give its inputs their shapes, simplify and fuse it."""

    example = "float"
    gives = FloatModel

    src = Source(
        "The ONNX file, or the label of a target that gives one; its external data files come along.",
        one_file=True,
        companions=external_data_files,
        required=True,
        vendor="input",
        example="mobilenetv2.onnx",
    )
    model_type = Choice(
        "What the file holds: a float model, or a quantised one with QuantizeLinear and DequantizeLinear nodes, whose "
        "scales and weights a quant_model then takes.",
        ("ONNX", "QuantONNX"),
        default="ONNX",
        vendor="model_type",
    )
    input_shapes = Shapes(
        "Shapes for inputs whose shape the model leaves open, or other ones.",
        vendor="input_shapes",
        example={"input": [1, 3, 224, 224]},
    )
    fix = Values(
        "Inputs that always have one value, and that value: a number for all elements, or a list of the input's shape.",
        example={"sample_rate": 16000},
    )
    inputs = Strings(
        "Tensors that the model begins at, in place of its own inputs: what leads to them is left out.",
        example=["backbone/input"],
    )
    outputs = Strings(
        "Tensors that the model ends at, in place of its own outputs: what only follows from them is left out.",
        example=["backbone/features"],
    )
    rename = NewNames(
        "Other names for inputs and outputs; everything else here takes the model's own names.",
        example={"images": "image"},
    )

    enable_onnxsim = Bool(
        "Let onnxslim simplify the model first, all but its fusions, which rename nodes; `pip install 'axbuild[slim]'` "
        "brings it.",
        vendor="onnx_opt.enable_onnxsim",
    )
    disable_onnx_optimization = Bool(
        "Leave out the rewrites that only make the graph smaller, such as BatchNormalization into the convolution "
        "before it; what the quantiser needs is done all the same.",
        vendor="onnx_opt.disable_onnx_optimization",
    )
    disable_transformation_check = Bool(
        "Do not compare each rewritten place by itself; the whole model is compared at the end all the same.",
        vendor="onnx_opt.disable_transformation_check",
    )
    model_check = Bool(
        "Compare the optimised model's outputs with the original's under onnxruntime: names, shapes, types and "
        "values; `build` and `test` fail where they differ.",
        vendor="onnx_opt.model_check",
    )
    save_tensors_data = Bool(
        "Hand over what the optimised model is compared on as tensors/: the input, and the outputs of both models.",
        vendor="onnx_opt.save_tensors_data",
    )

    def actions(self, t: Settled, plan: Plan) -> FloatModel:
        whole = patched(t, plan, _model_folder(t))
        source, given = whole, None
        if t.model_type == "QuantONNX":
            separated = plan.run(SEPARATE, model=whole)
            source, given = separated["separated/"], separated["given.msgpack"]
        ends, switches = t.only(*ENDS), t.only("disable_onnx_optimization", "disable_transformation_check")
        if t.enable_onnxsim:
            slimmed = plan.run(SLIM, model=source, params=ends)["slimmed/"]
            done = plan.run(OPTIMIZE, model=slimmed, params=switches)
        else:
            done = plan.run(OPTIMIZE, model=source, params=ends | switches)
        plan.output("", done["optimized/"])
        plan.output("interface.json", done["interface.json"])
        if t.model_check or t.save_tensors_data:
            params = t.only(*ENDS, "save_tensors_data")
            compared = plan.run(MODEL_CHECK, model=source, optimized=done["optimized/"], params=params)
            if t.model_check:
                plan.output("model_check.json", compared["verdict.json"])
                plan.verdict(compared["verdict.json"])
            if t.save_tensors_data:
                plan.output("tensors/", compared["tensors/"])
        asked = t.only("model_type", "model_check", "save_tensors_data")
        front = FrontEnd(source, {"front": ends | switches} | t.only("enable_onnxsim"), whole, asked)
        return FloatModel(done["optimized/"], done["interface.json"], given, front)


def _model_folder(t: Settled) -> Any:
    """The source as a folder of one .onnx file and its data; the file is called model.onnx in it.

    The name would otherwise be in the key, and a renamed file would be optimised again.
    """
    if not isinstance(t.src, SourceFiles):
        return as_tree(t.src)
    models = [name for name, _ in t.src.files if name.endswith(".onnx")]
    if len(models) != 1:
        found = f"{len(models)} files end in .onnx" if models else "no file ends in .onnx"
        raise t.error("src", f"src takes one ONNX model: {found}", code="AX106")
    if "/" in models[0] or "model.onnx" in {name for name, _ in t.src.files}:
        return replace(t.src, tree=True)
    files = (("model.onnx" if name == models[0] else name, path) for name, path in t.src.files)
    return SourceFiles(tuple(sorted(files)), tree=True)
