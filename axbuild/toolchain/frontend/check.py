"""Does a rewritten model still compute what it did: run both on the same random input and compare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, TensorProto

from axbuild.errors import AxError

SEED = 20
Array = np.ndarray[Any, np.dtype[Any]]
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
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        outputs = [value.name for value in session.get_outputs()]
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))
    except _ORT_ERRORS as error:
        raise NotRunnableError(f"onnxruntime does not run the model: {' '.join(str(error).split())[:400]}") from None


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


def _ort_errors() -> tuple[type[Exception], ...]:
    state = ort.capi.onnxruntime_pybind11_state
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
        "InvalidProtobuf",
    )
    return tuple(getattr(state, name) for name in names)


_ORT_ERRORS = _ort_errors()
