"""One node of a quantised model alone, as a model that runs."""

from __future__ import annotations

import onnx

from axbuild.errors import AxError
from axbuild.toolchain.kinds.registry import model_around


class NoSuchNodeError(AxError):
    """A node that a quantised model does not have."""

    code = "AX360"


def node_model(model: onnx.ModelProto, node: str) -> onnx.ModelProto:
    """The node called `node` with its constants and body; it reads and writes what it does in the whole model.

    `model` is a quantised model, whose tensors all have a type and a shape. Raises NoSuchNodeError.
    """
    graph = model.graph
    found = next((item for item in graph.node if item.name == node), None)
    if found is None:
        raise NoSuchNodeError(f"the quantised model has no node '{node}'")
    infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [infos[name] for name in dict.fromkeys(found.input) if name and name not in constants]
    outputs = [infos[name] for name in found.output if name]
    own = [constants[name] for name in dict.fromkeys(found.input) if name in constants]
    functions = {
        (f.name, f.overload): f for f in model.functions if (f.name, f.overload) == (found.op_type, found.overload)
    }
    return model_around(onnx.helper.make_graph([found], node, inputs, outputs, own), functions)
