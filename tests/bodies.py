"""Kinds run as what defines them: their ONNX bodies under stock onnxruntime, one thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.stand_in import stand_in
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.kinds.registry import Written, model_of, write_node

LEVELS = {
    "optimisation off": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "optimisation on": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
EVERY_LEVEL = {
    **LEVELS,
    "basic optimisation": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended optimisation": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}


def runnable(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy, with what stands for operators that onnxruntime has no kernel for."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    stand_in(LightModel(copy))
    return copy


def session(model: onnx.ModelProto, level: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = EVERY_LEVEL[level]
    options.intra_op_num_threads = 1
    return ort.InferenceSession(runnable(model).SerializeToString(), options, providers=["CPUExecutionProvider"])


def port(name: str, array: np.ndarray, batch: str = "N") -> onnx.ValueInfoProto:
    """An input or output whose dim 0 is symbolic."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [batch, *array.shape[1:]])


def kind_model(kind: Kind, *inputs: np.ndarray) -> onnx.ModelProto:
    """A model of one kind: inputs x0, x1, ..., output y."""
    names = [f"x{i}" for i in range(len(inputs))]
    shape = kind.output_shape(*(x.shape for x in inputs))
    y = np.empty(shape, type_of(kind.writes).dtype)
    batches = ["N" if x.shape[0] == shape[0] else f"N{i}" for i, x in enumerate(inputs)]
    ports = [port(name, x, batch) for name, x, batch in zip(names, inputs, batches, strict=True)]
    outputs = [port("y", y, "N" if "N" in batches else "M")]
    return model_of([write_node(kind, names, ["y"], "node")], ports, outputs, "kind")


def run_body(kind: Kind, *inputs: np.ndarray, level: str = "optimisation on") -> np.ndarray:
    """The output of a kind's body."""
    feeds = {f"x{i}": x for i, x in enumerate(inputs)}
    return session(kind_model(kind, *inputs), level).run(None, feeds)[0]


def run_chain(
    written: Sequence[Written], inputs: dict[str, np.ndarray], output: str, rank: int, dtype: str, level: str
):
    """The output named `output` of a model of several nodes."""
    result = helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [None] * rank)
    model = model_of(written, [port(name, x) for name, x in inputs.items()], [result], "chain")
    onnx.checker.check_model(model)
    return session(model, level).run(None, inputs)[0]


def every_tensor(model: onnx.ModelProto, feeds: dict[str, np.ndarray], level: str = "optimisation off"):
    """What the bodies make of each tensor of the model, inputs included."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    kept = {output.name for output in copy.graph.output}
    made = [node.output[0] for node in copy.graph.node if node.output[0] not in kept]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    names = [output.name for output in copy.graph.output]
    return feeds | dict(zip(names, session(copy, level).run(None, feeds), strict=True))
