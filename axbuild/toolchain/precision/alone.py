"""The quantised model with every fused node by itself: each reads the float model's values on the grids it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx
from onnx import helper

from axbuild.toolchain.graph import Names
from axbuild.toolchain.kinds.border import Quantize
from axbuild.toolchain.kinds.codes import Edge, Grid, type_of
from axbuild.toolchain.kinds.registry import model_around, write_node
from axbuild.toolchain.precision.places import Places


@dataclass(frozen=True)
class Alone:
    """The model; inputs: its input -> the float tensor that it takes; outputs: tensor of the quantised model -> the
    output of the same meaning here."""

    model: onnx.ModelProto
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def each_alone(model: onnx.ModelProto, places: Places, wanted: list[str]) -> Alone:
    """wanted: tensors of the quantised model that fused nodes or borders write."""
    return _Apart(model, places).of(wanted)


@dataclass
class _Apart:
    model: onnx.ModelProto
    places: Places
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: dict[str, onnx.ValueInfoProto] = field(default_factory=dict)
    """float tensor -> the model's input"""
    exact: dict[str, str] = field(default_factory=dict)
    """tensor of the quantised model -> the float model's values as that"""

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.constants = {tensor.name for tensor in graph.initializer}
        self.infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
        self.names = Names([*self.infos, *self.constants, *(node.name for node in graph.node)])
        self.functions = {(function.name, function.overload): function for function in self.model.functions}

    def of(self, wanted: list[str]) -> Alone:
        graph = self.model.graph
        read = {name for node in graph.node for name in node.input}
        for node in graph.node:
            if self.places.sites.get(node.name):
                self.nodes.append(self._apart(node))
        outputs = {name: name if self.places.writers.get(name) else self._exact(name) for name in wanted}
        ports = [_port(name, self.infos[own], self.places.edges[own]) for own, name in outputs.items()]
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        given = {info.name for info in ports}
        inner = [self.infos[name] for node in self.nodes for name in node.output if name not in given]
        made = helper.make_graph(self.nodes, "alone", list(self.inputs.values()), ports, kept, value_info=inner)
        inputs = {info.name: tensor for tensor, info in self.inputs.items()}
        return Alone(model_around(made, self.functions), inputs, outputs)

    def _apart(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The node, reading what another site writes as the float model has it."""
        own = onnx.NodeProto()
        own.CopyFrom(node)
        site = self.places.sites[node.name]
        for index, name in enumerate(node.input):
            if name and name not in self.constants and self.places.writers.get(name) != site:
                own.input[index] = self._exact(name)
        return own

    def _exact(self, name: str) -> str:
        if name not in self.exact:
            tensor, edge = self.places.tensors[name], self.places.edges[name]
            value = self._input(name, tensor, edge)
            if isinstance(edge, Grid):
                written = write_node(Quantize(edge), [value], [self.names.free(f"{name}/exact")], f"{name}/exact")
                self.functions[written.function.name, written.function.overload] = written.function
                self.nodes.append(written.node)
                value = written.node.output[0]
                self.infos[value] = _port(value, self.infos[name], edge)
            self.exact[name] = value
        return self.exact[name]

    def _input(self, name: str, tensor: str, edge: Edge) -> str:
        if tensor not in self.inputs:
            kind = 1 if isinstance(edge, Grid) else type_of(edge).onnx
            info = helper.make_tensor_value_info(self.names.free(f"{tensor}/float"), kind, None)
            info.type.tensor_type.shape.CopyFrom(self.infos[name].type.tensor_type.shape)
            self.inputs[tensor] = info
        return self.inputs[tensor].name


def _port(name: str, like: onnx.ValueInfoProto, edge: Edge) -> onnx.ValueInfoProto:
    info = helper.make_tensor_value_info(name, type_of(edge).onnx, None)
    info.type.tensor_type.shape.CopyFrom(like.type.tensor_type.shape)
    return info
