"""Some operators of a float graph as a model of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import helper

from axbuild.toolchain.graph import IR_VERSION, OPSET
from axbuild.toolchain.named import complete


def part_of(
    whole: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], reads: Sequence[str], writes: Sequence[str]
) -> onnx.ModelProto:
    """The nodes alone, with their constants; reads, writes: tensors that are its inputs and outputs."""
    used = {name for node in nodes for name in (*node.input, *node.output)}
    infos = {info.name: info for info in (*whole.graph.input, *whole.graph.value_info, *whole.graph.output)}

    def ports(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
        return [infos[name] for name in names]

    graph = helper.make_graph(
        nodes,
        "part",
        ports(reads),
        ports(writes),
        initializer=[tensor for tensor in whole.graph.initializer if tensor.name in used],
        value_info=ports(sorted(used.intersection(infos).difference(reads, writes))),
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return complete(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="axbuild"))
