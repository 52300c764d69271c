"""Attributes of a quantised model's own operators, overwritten; and the shapes that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import helper, numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.frontend.attributes import OpPatch
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.kinds.registry import read_node
from axbuild.toolchain.near import did_you_mean
from axbuild.toolchain.quant.tensors import shape_in


class OpPatchError(AxError):
    """An entry of quant_op_processors that does not fit the quantised model."""

    code = "AX366"


def patch(model: onnx.ModelProto, patches: Sequence[OpPatch]) -> None:
    """Overwrite, in place; raises OpPatchError, or the operator's own error where it refuses a value."""
    nodes = {node.name: node for node in model.graph.node}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for one in patches:
        node = nodes.get(one.op_name)
        if node is None:
            raise OpPatchError(
                f"quant_op_processors is for the operator '{one.op_name}', and the quantised model has none",
                hint=did_you_mean(one.op_name, nodes),
            )
        if node.domain != DOMAIN:
            raise OpPatchError(
                f"quant_op_processors is for '{one.op_name}', which is a float operator ({node.op_type}); it patches "
                "quantised ones"
            )
        _overwrite(model, node, one.attrs, constants)
    _follow(model, constants)


def _overwrite(
    model: onnx.ModelProto, node: onnx.NodeProto, attrs: Mapping[str, Any], constants: Mapping[str, Any]
) -> None:
    known = {attribute.name: attribute for attribute in node.attribute}
    for name, value in attrs.items():
        if name not in known:
            own = ", ".join(known) or "none"
            raise OpPatchError(
                f"quant_op_processors sets '{name}' of '{node.name}', and {node.op_type} has no such attribute",
                hint=f"it has {own}",
            )
        known[name].CopyFrom(helper.make_attribute(name, value))
    kind, _ = read_node(node, constants)
    function = kind.body()
    node.overload = function.overload
    if (function.name, function.overload) not in {(item.name, item.overload) for item in model.functions}:
        model.functions.append(function)


def _follow(model: onnx.ModelProto, constants: Mapping[str, Any]) -> None:
    """Bring every tensor's shape up to date, and leave out bodies that no node has any more."""
    graph = model.graph
    infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
    shapes = {name: shape_in(info) for name, info in infos.items()}
    changed: set[str] = set()
    for node in graph.node:
        reads = [name for name in node.input if name in changed]
        if node.domain == DOMAIN:
            kind, activations = read_node(node, constants)
            made = kind.output_shape(*(shapes[name] for name in activations))
            if made != shapes[node.output[0]]:
                changed.add(node.output[0])
                shapes[node.output[0]] = made
                _reshape(infos[node.output[0]], made)
        elif reads:
            raise OpPatchError(
                f"quant_op_processors changes the shape of '{reads[0]}', which the float operator '{node.name}' "
                f"({node.op_type}) reads",
                hint="change the float model instead, where shapes are known throughout",
            )
    used = {(node.op_type, node.overload) for node in graph.node if node.domain == DOMAIN}
    kept = [function for function in model.functions if (function.name, function.overload) in used]
    del model.functions[:]
    model.functions.extend(sorted(kept, key=lambda function: (function.name, function.overload)))


def _reshape(info: onnx.ValueInfoProto, shape: Shape) -> None:
    dims = info.type.tensor_type.shape
    del dims.dim[:]
    for size in shape:
        dims.dim.add().dim_value = size
