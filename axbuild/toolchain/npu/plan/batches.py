"""How samples lie in boundary tensors, and which subgraphs take several at once.

Nothing runs on several samples unless that is proved: a subgraph on the CPU runs one at a time, and one on the NPU
does where its operators would mix them. The axis of a tensor only says how samples are joined. It is the one that
doubles when the inputs' doubles; where none does (a Reshape to a constant shape), the rows of samples follow each
other along axis 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import helper

from axbuild.errors import AxError
from axbuild.toolchain.frontend.light import INLINE_BYTES
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.npu.net import Net, at_shapes, first_mixing
from axbuild.toolchain.npu.plan.boundary import FROM_DATA
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.quantised import PlanGraph
from axbuild.toolchain.ops.host import batch_axis
from axbuild.toolchain.quant.tensors import shape_in

Axes = dict[str, int | None]


def input_axes(graph: PlanGraph, floats: FloatGraph) -> Axes:
    """The batch axis of each input of the model: 0, or what an operator that reads it asks for."""
    axes: Axes = {name: 0 if graph.shapes[name] else None for name in graph.inputs}
    for node in graph.nodes:
        if node.kind is None:
            operator = floats.node(node.members[0])
            asked = {name: batch_axis(operator, place) for place, name in enumerate(node.inputs)}
            axes |= {name: axis for name, axis in asked.items() if name in axes and axis is not None}
    return axes


def runs_together(net: Net, axes: Iterable[int | None]) -> bool:
    """Whether several samples, side by side along axis 0 of every input, may run as one."""
    return all(axis == 0 for axis in axes) and first_mixing(net) is None


def npu_axes(net: Net, axes: Mapping[str, int | None]) -> Axes:
    """The batch axes of an NPU subgraph's outputs; axes: of its inputs, by the names in its file."""
    try:
        doubled = at_shapes(net, {name: _doubled(net.tensors[name].shape, axes[name]) for name in net.inputs})
        many = {name: doubled.tensors[name].shape for name in net.outputs}
    except AxError:
        many = {}
    return {name: _axis(net.tensors[name].shape, many.get(name)) for name in net.outputs}


def cpu_axes(model: onnx.ModelProto, axes: Mapping[str, int | None]) -> Axes:
    """The same of a CPU subgraph, by ONNX's shape inference."""
    many = _without_weights(model)
    for info in many.graph.input:
        if info.name in axes:
            for dim, size in zip(
                info.type.tensor_type.shape.dim, _doubled(shape_in(info), axes[info.name]), strict=True
            ):
                dim.dim_value = size
    for info in many.graph.output:
        info.type.tensor_type.ClearField("shape")
    try:
        inferred = onnx.shape_inference.infer_shapes(many, strict_mode=True, data_prop=True)
        found = {info.name: shape_in(info) for info in inferred.graph.output}
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        found = {}
    return {info.name: _axis(shape_in(info), found.get(info.name)) for info in model.graph.output}


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which constants too large to be shapes are inputs: inference copies a model there and back."""
    graph = model.graph
    large = {tensor.name: tensor for tensor in graph.initializer if len(tensor.raw_data) >= INLINE_BYTES}
    weights = [helper.make_tensor_value_info(name, item.data_type, item.dims) for name, item in large.items()]
    small = [tensor for tensor in graph.initializer if tensor.name not in large]
    copy = helper.make_graph(graph.node, graph.name, [*graph.input, *weights], graph.output, small)
    return helper.make_model(copy, opset_imports=model.opset_import, ir_version=model.ir_version)


def _doubled(shape: Shape, axis: int | None) -> Shape:
    return tuple(2 * size if place == axis else size for place, size in enumerate(shape))


def _axis(one: Shape, two: Shape | None) -> int | None:
    """The axis that doubled; None where samples cannot be joined."""
    if not one or FROM_DATA in one:
        return None
    places = [n for n, (a, b) in enumerate(zip(one, two or (), strict=False)) if b == 2 * a]
    return places[0] if len(places) == 1 and two == _doubled(one, places[0]) else 0
