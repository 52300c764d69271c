"""Does a rewritten model still compute what it did: run both on the same random input and compare."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import ModelProto, TensorProto

from axbuild.errors import AxError
from axbuild.toolchain import ort
from axbuild.toolchain.graph import Array

SEED = 20
Tensors = dict[str, Array]


class TransformationError(AxError):
    """A rewrite changed what the model computes by more than its tolerance: a defect of the rewrite."""

    code = "AX306"


class NotFiniteError(AxError):
    """A model computes infinities or NaN in ways that no rewrite can keep."""

    code = "AX309"


class NotRunnableError(AxError):
    """onnxruntime refuses the model, which is valid by ONNX's own checker."""

    code = "AX307"


def random_inputs(model: ModelProto) -> Tensors:
    """float32 standard normal of every input's shape, the same in every run."""
    rng = np.random.default_rng(SEED)
    shapes = {value.name: [item.dim_value for item in value.type.tensor_type.shape.dim] for value in model.graph.input}
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def run(model: ModelProto, inputs: Tensors, names: Iterable[str] = ()) -> Tensors:
    """The model's outputs and the tensors `names`, by onnxruntime at its basic level on one thread."""
    content = _with_outputs(model, sorted(set(names)))
    try:
        session = ort.open_session(content)
        outputs = [value.name for value in session.get_outputs()]
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))
    except ort.FAILURES as error:
        raise NotRunnableError(f"onnxruntime does not run the model: {ort.failure_text(error)}") from None


def _with_outputs(model: ModelProto, names: list[str]) -> bytes:
    """The model's bytes with the tensors `names` as outputs beside its own; the model is left as it was."""
    own = len(model.graph.output)
    known = {value.name for value in model.graph.output}
    for name in names:
        if name not in known:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    try:
        return bytes(model.SerializeToString())
    finally:
        del model.graph.output[own:]


def compare(rewrite: str, tolerance: float, before: Tensors, after: Tensors) -> None:
    """Raise TransformationError for the first tensor that differs by more than tolerance * max|before|."""
    for name, old in before.items():
        new = after[name]
        if old.shape != new.shape:
            raise TransformationError(
                f"{rewrite} turned the shape of tensor '{name}' from {old.shape} into {new.shape}"
            )
        finite = np.isfinite(old)
        limit = tolerance * float(np.abs(old[finite]).max(initial=0.0))
        if not np.array_equal(old[~finite], new[~finite], equal_nan=True):
            raise NotFiniteError(
                f"tensor '{name}' of the model has values that are not finite, and not always the same ones",
                hint="the weights may be damaged, or too large for float32",
            )
        if not np.isfinite(new[finite]).all():
            raise TransformationError(f"{rewrite} made values of tensor '{name}' that are not finite")
        difference = np.abs(old[finite].astype(np.float64) - new[finite])
        if difference.size and difference.max() > limit:
            raise TransformationError(
                f"{rewrite} changed tensor '{name}' by {difference.max():.3g}, more than {limit:.3g}",
                hint="this is a defect of the rewrite; please report it with the model",
            )
