"""Stage: a float model through the front end once more, at other shapes of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from axbuild.errors import counted
from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.frontend.ends import WHOLE
from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify, write
from axbuild.toolchain.frontend.slim import write_slimmed
from axbuild.toolchain.graph import Shape, model_file, shape_of
from axbuild.toolchain.near import nearest
from axbuild.toolchain.shapes.alike import require_alike
from axbuild.toolchain.shapes.place import ExtraShapeError, at, shown


@dataclass(frozen=True)
class OptimizeAtParams:
    """shapes: input, by the name that it has behind the front end, "DEFAULT" for the model's only one -> its other
    shape; front: what the front end was told at the model's own shapes; enable_onnxsim: onnxslim came first."""

    shapes: dict[str, tuple[int, ...]]
    front: OptimizeParams = field(default_factory=OptimizeParams)
    enable_onnxsim: bool = False


def optimize_at(model: Path, own: Path, out: Path, *, params: OptimizeAtParams) -> None:
    """`model`: as `optimize` takes it, whose outputs are written; own: the optimized/ of the model's own shapes.

    Raises ExtraShapeError where the shapes are none of the model's inputs', or lead to another graph.
    """
    graph = ir.load(model_file(own)).graph
    own_shapes = {value.name or "": shape_of(value) for value in graph.inputs}
    shapes = by_name(params.shapes, own_shapes)
    require_other(shapes, own_shapes)
    front = _front(params.front, shapes)
    with at(shapes), TemporaryDirectory() as folder:
        if params.enable_onnxsim:
            write_slimmed(model, front, Path(folder))
            model, front = Path(folder), replace(front, **vars(WHOLE))
        write(simplify(load(model, front), front), out)
        require_alike(graph, ir.load(model_file(out / "optimized")).graph)


def by_name(shapes: Mapping[str, Shape], own: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes by the names of inputs; own: as in `require_other`."""
    if DEFAULT in shapes and len(own) != 1:
        raise ExtraShapeError(
            f"an extra shape is for {DEFAULT}, and the model has {counted(len(own), 'input')}: {', '.join(own)}",
            hint="give each input its own",
        )
    return {next(iter(own)) if name == DEFAULT else name: shape for name, shape in shapes.items()}


def _front(front: OptimizeParams, shapes: Mapping[str, Shape]) -> OptimizeParams:
    """With the shapes under the names that the inputs have in the file."""
    given = {new: old for old, new in front.rename.items()}
    return replace(front, input_shapes=front.input_shapes | {given.get(name, name): shapes[name] for name in shapes})


def require_other(shapes: Mapping[str, Shape], own: Mapping[str, Shape]) -> None:
    """Raise ExtraShapeError unless the shapes are other ones of the model's inputs; own: input -> its shape."""
    for name, shape in shapes.items():
        if name not in own:
            raise ExtraShapeError(
                f"an extra shape is for '{name}', and the model's inputs are {', '.join(own)}",
                hint=nearest(name, own),
            )
        if len(shape) != len(own[name]):
            raise ExtraShapeError(
                f"the extra shape gives '{name}' {counted(len(shape), 'dimension')} {list(shape)}, and the model has "
                f"{len(own[name])}: {list(own[name])}",
                hint="shapes are those of the float model, whatever src_layout says",
            )
    if all(own[name] == shape for name, shape in shapes.items()):
        raise ExtraShapeError(f"the extra shape is the model's own: {shown(shapes)}")
