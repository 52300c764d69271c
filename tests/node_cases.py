"""ONNX's own backend node cases of the ops in the registry, as models that quantisation can take."""

import importlib
from pathlib import Path

import numpy as np
import onnx.backend.test.case.node as node_cases
import onnx_ir as ir
from bodies import runnable
from onnx import numpy_helper

from axbuild.toolchain.npu.chips.support import is_of_onnx
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.ops.registry import all_ops

_ALL = ["Add", "And", "Concat", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MatMul", "Max"]
_ALL += ["Min", "Mul", "Sub", "Where", "Xor", "GatherElements", "GatherND", "ScatterElements", "ScatterND"]
COMPUTED = dict.fromkeys(_ALL, range(9)) | {
    "Attention": range(3),
    "Gather": [1],
    "GridSample": [0, 1],
    "RoiAlign": range(3),
}
"""inputs that stay activations, the first one elsewhere; the others become constants"""
LEFT_OUT = {"LayerNormalization": 1}
"""outputs from there on are left out"""


NOT_RUN = {
    "test_pow_types_float32_uint32",
    "test_pow_types_float32_uint64",
    "test_roialign_mode_max",
}
"""cases for which onnxruntime has no kernel"""
NUMPYS = {*range(1, 8), *range(9, 14)}
"""numbers of ONNX's element types that are numpy's, without text"""


def _collected():
    stems = {path.stem.replace("_", ""): path.stem for path in Path(node_cases.__file__).parent.glob("[a-z]*.py")}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in filter(is_of_onnx, all_ops()):
            importlib.import_module(f"{node_cases.__name__}.{stems[name.lower()]}")
    return {case.name: case for case in node_cases._NodeTestCases}


def ordinary(case) -> bool:
    """Whether the case has tensors of numpy's own types only, and elements to compute with."""
    values = (*case.model.graph.input, *case.model.graph.output)
    given, expected = case.data_sets[0]
    plain = bool(given) and all(hasattr(array, "dtype") for array in (*given, *expected))
    return plain and all(value.type.tensor_type.elem_type in NUMPYS for value in values) and np.size(given[0])


COLLECTED = {name: case for name, case in _collected().items() if ordinary(case) and name not in NOT_RUN}


def settled(name: str):
    """(model whose further inputs are initialisers, feeds, expected outputs) of a node case."""
    return settled_case(COLLECTED[name], COLLECTED[name].model.graph.node[0].op_type)


def settled_case(case, op: str):
    """The same of a case of the operator `op`, which may be spelled out in several nodes."""
    model = runnable(case.model)
    graph = model.graph
    arrays = dict(zip([value.name for value in graph.input], map(np.asarray, case.data_sets[0][0]), strict=True))
    computed = COMPUTED.get(op, (0,))
    for index, value in enumerate(list(graph.input)):
        if index not in computed:
            graph.initializer.append(numpy_helper.from_array(arrays.pop(value.name), value.name))
            graph.input.remove(value)
    kept = LEFT_OUT.get(op, len(graph.output))
    del graph.output[kept:]
    if len(graph.node) == 1:
        graph.node[0].name = "node"
        if op in LEFT_OUT:
            del graph.node[0].output[kept:]
    return model, arrays, case.data_sets[0][1][:kept]


def _taken(name: str) -> bool:
    return not without_integer_form(ir.from_proto(settled(name)[0]).graph[0])


NAMES = {
    name for name, case in COLLECTED.items() if [node.op_type in all_ops() for node in case.model.graph.node] == [True]
}
OWN = sorted({name for op in all_ops().values() for name in op.cases} | {name for name in NAMES if _taken(name)})
"""those that have an integer form, or whose op says so"""
OTHERS = sorted(NAMES.difference(OWN))
