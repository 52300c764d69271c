"""What each operator of a quantised model reads, writes and holds, by its element types."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import numpy_helper

from axbuild.toolchain.kinds.base import DOMAIN, Kind
from axbuild.toolchain.kinds.codes import Edge, type_of
from axbuild.toolchain.kinds.registry import read_node


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether it is a model such as `quant_axmodel.onnx`."""
    return any(node.domain == DOMAIN for node in model.graph.node)


def layers_of(model: onnx.ModelProto) -> list[dict[str, Any]]:
    """In the order of the graph: [{"name", "operator", "outputs": tensors, "reads": names of types, "writes": of one,
    "weight": of its constant weight or "", "weights": how many}]; of a float operator no types are told."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    return [_layer(node, constants) for node in model.graph.node]


def _layer(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> dict[str, Any]:
    about = {"name": node.name, "operator": node.op_type, "outputs": [name for name in node.output if name]}
    if node.domain != DOMAIN:
        return about | {"reads": [], "writes": "", "weight": "", "weights": 0}
    own = {name: numpy_helper.to_array(constants[name]) for name in node.input if name in constants}
    kind, _ = read_node(node, own)
    held = kind.weight_type
    return about | {
        "reads": [_named(edge) for edge in kind.reads],
        "writes": _named(kind.writes),
        "weight": held.name if held else "",
        "weights": _weights(kind) if held else 0,
    }


def _named(edge: Edge) -> str:
    return type_of(edge).name


def _weights(kind: Kind) -> int:
    return int(kind.constants()["weight"].size)
