"""The float model that a quantised model would be if it rounded nothing: every tensor ends where its codes do."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.verify import verify


def clamped(floats: onnx.ModelProto, quantised: onnx.ModelProto) -> onnx.ModelProto:
    """`floats` with a Clip to the reals of the lowest and the highest code behind every tensor that is quantised.

    A tensor inside a fused node has no codes and no Clip.
    """
    model = onnx.ModelProto.FromString(floats.SerializeToString())
    graph, grids = model.graph, _grids(quantised)
    nodes, names = [], {}
    for port in graph.input:
        if port.name in grids:
            names[port.name] = f"{port.name}/clamped"
            nodes.append(_clip(graph, port.name, names[port.name], grids[port.name]))
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in grids:
                node.output[index] = f"{name}/unclamped"
                nodes.append(_clip(graph, node.output[index], name, grids[name]))
    graph.ClearField("node")
    graph.node.extend(nodes)
    graph.ClearField("value_info")
    return model


def _grids(quantised: onnx.ModelProto) -> dict[str, Grid]:
    """Float tensor -> its grid; the codes of the model's own inputs and outputs are called `<tensor>/codes`."""
    edges = verify(quantised).edges
    return {name.removesuffix("/codes"): edge for name, edge in edges.items() if isinstance(edge, Grid)}


def _clip(graph: onnx.GraphProto, source: str, target: str, grid: Grid) -> onnx.NodeProto:
    ends = {"lowest": grid.type.lo, "highest": grid.type.hi}
    for word, code in ends.items():
        graph.initializer.append(numpy_helper.from_array(np.float32(grid.real(code)), f"{target}/{word}"))
    return helper.make_node("Clip", [source, *(f"{target}/{word}" for word in ends)], [target])
