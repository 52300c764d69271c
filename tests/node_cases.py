"""ONNX's own backend node cases of the ops in the registry, as models that quantisation can take."""

import importlib

import numpy as np
import onnx
import onnx.backend.test.case.node as node_cases
from onnx import numpy_helper

from axbuild.toolchain.ops.registry import OPS

COMPUTED = {"Add": (0, 1), "Sub": (0, 1), "MatMul": (0, 1), "Concat": range(9), "Gather": (1,)}
"""inputs that stay activations, the first one elsewhere; the others become constants"""


def _collected():
    for name in OPS:
        importlib.import_module(f"{node_cases.__name__}.{name.lower()}")
    return {case.name: case for case in node_cases._NodeTestCases}


def _tensors(case) -> bool:
    """Whether the case has neither sequences nor optional values."""
    graph = case.model.graph
    return all(value.type.HasField("tensor_type") for value in (*graph.input, *graph.output))


COLLECTED = {name: case for name, case in _collected().items() if _tensors(case)}
OWN = [(op, name) for op in OPS.values() for name in op.cases]
OTHERS = [
    name
    for op in OPS.values()
    for name, case in COLLECTED.items()
    if name not in op.cases and [node.op_type for node in case.model.graph.node] == [op.onnx]
]


def settled(name: str):
    """(model whose further inputs are initialisers, feeds, expected outputs) of a node case."""
    case = COLLECTED[name]
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    arrays = dict(zip([value.name for value in graph.input], case.data_sets[0][0], strict=True))
    computed = COMPUTED.get(graph.node[0].op_type, (0,))
    for index, value in enumerate(list(graph.input)):
        if index not in computed:
            graph.initializer.append(numpy_helper.from_array(np.asarray(arrays.pop(value.name)), value.name))
            graph.input.remove(value)
    graph.node[0].name = "node"
    return model, arrays, case.data_sets[0][1]
