"""`float_model`: an ONNX file becomes the optimised float graph that everything later starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import SourceFiles, as_tree
from axbuild.workspace.rule import Settled, Shapes, Source, Stage, rule

from ._external_data import external_data_files
from ._nouns import FloatModel

OPTIMIZE = Stage(
    "axbuild.toolchain.frontend.optimize:optimize", float=True, outputs=("optimized.onnx", "interface.json")
)


@rule
class float_model:
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
    input_shapes = Shapes(
        "Shapes for inputs whose shape the model leaves open, or other ones.",
        vendor="input_shapes",
        example={"input": [1, 3, 224, 224]},
    )

    def actions(self, t: Settled, plan: Plan) -> FloatModel:
        done = plan.run(OPTIMIZE, model=_model_folder(t), params=t.only("input_shapes"))
        plan.output("optimized.onnx", done["optimized.onnx"])
        plan.output("interface.json", done["interface.json"])
        return FloatModel(done["optimized.onnx"], done["interface.json"])


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
