"""The quantised model as ONNX: float at its borders, codes and exact bodies between them, float operators where there
are no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

from axbuild.toolchain.graph import ORIGINS, Array, Names, constant_of, origins_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Dequantize, Quantize, Requantize
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid, type_of
from axbuild.toolchain.kinds.registry import model_around, write_node
from axbuild.toolchain.named import complete
from axbuild.toolchain.ops.base import Between, FusedNode, Ref, Step
from axbuild.toolchain.quant.lowered import LoweredNode
from axbuild.toolchain.quant.scheme import Form
from axbuild.toolchain.quant.tensors import NODES, REASON, SITE, TENSOR, plain_type


@dataclass
class GraphWriter:
    """Nodes in order, and the names under which each float tensor stands: as itself, and as codes on grids."""

    names: Names
    plain: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    functions: dict[tuple[str, str], onnx.FunctionProto] = field(default_factory=dict)
    infos: list[onnx.ValueInfoProto] = field(default_factory=list)
    standing: dict[str, dict[Edge, str]] = field(default_factory=dict)
    shapes: dict[str, list[int | str | None]] = field(default_factory=dict)

    def add(self, kind: Kind, inputs: list[str], output: str, name: str, metadata: dict[str, str]) -> None:
        written = write_node(kind, inputs, [output], name, self.names.free)
        _describe(written.node, metadata)
        self.nodes.append(written.node)
        self.functions[written.function.name, written.function.overload] = written.function
        for tensor in written.initialisers:
            self.constants[tensor.name] = tensor

    def stands(self, tensor: str, edge: Edge) -> str:
        """The name of a float tensor as `edge`, which is about to be written."""
        standing = self.standing.setdefault(tensor, {})
        if not isinstance(edge, Grid) or (not standing and tensor not in self.plain):
            name = tensor
        else:
            coded = any(isinstance(item, Grid) for item in standing)
            name = self.names.free(f"{tensor}/{edge.type}" if coded else f"{tensor}/codes")
        standing[edge] = name
        self.inform(name, edge, self.shapes[tensor], tensor)
        return name

    def inform(self, name: str, edge: Edge, shape: Sequence[int | str | None], tensor: str) -> None:
        info = helper.make_tensor_value_info(name, type_of(edge).onnx, list(shape))
        _describe(info, {TENSOR: tensor} if tensor else {})
        self.infos.append(info)

    def need(self, tensor: str, edge: Edge) -> str:
        """The name of a float tensor as `edge`; what it stands as already is converted where it must be."""
        standing = self.standing[tensor]
        if edge not in standing:
            source, name = next(iter(standing.items()))
            kind, word = conversion(source, edge, tensor)
            output = self.stands(tensor, edge)
            self.add(kind, [name], output, self.names.free(f"{tensor}/{word}"), {SITE: "", NODES: "[]", ORIGINS: "[]"})
        return standing[edge]


def conversion(source: Edge, target: Edge, tensor: str) -> tuple[Kind, str]:
    """The border kind between two edges of one tensor."""
    if isinstance(source, Grid) and isinstance(target, Grid):
        return Requantize.of(source, target), "requantize"
    if isinstance(target, Grid) and source is FP32:
        return Quantize(target), "quantize"
    if isinstance(source, Grid) and target is FP32:
        return Dequantize(source), "dequantize"
    raise ValueError(f"'{tensor}' is {source} and cannot be read as {target}")


def _describe(proto: onnx.NodeProto | onnx.ValueInfoProto, metadata: dict[str, str]) -> None:
    for key, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value


def model_with(graph: ir.Graph, parts: Sequence[LoweredNode]) -> onnx.ModelProto:
    """The quantised model: inputs and outputs are the float model's, by name, order, type and shape."""
    writer = GraphWriter(_names(graph, parts), _plain_tensors(graph, parts))
    for value in (*graph.inputs, *(output for node in graph for output in node.outputs if output.name)):
        writer.shapes[value.name or ""] = _dims(value)
    for value in graph.inputs:
        writer.standing[value.name or ""] = {plain_type(value): value.name or ""}
    for part in parts:
        if part.site.form is Form.FLOAT:
            _place_float(writer, part)
        else:
            _place(writer, part)
    for value in graph.outputs:
        writer.need(value.name or "", plain_type(value))
    return _model(graph, writer)


def _names(graph: ir.Graph, parts: Sequence[LoweredNode]) -> Names:
    """What stands in the quantised model under the float model's own name: no name of ours may be one of these."""
    tensors = [*graph.inputs, *(output for node in graph for output in node.outputs)]
    floats = [part.fused.node for part in parts if part.site.form is Form.FLOAT]
    constants = [value for node in floats for value in node.inputs if value is not None]
    return Names([*(value.name for value in (*tensors, *constants)), *(node.name for node in graph)])


def _plain_tensors(graph: ir.Graph, parts: Sequence[LoweredNode]) -> set[str]:
    """Float tensors that stand in the quantised model as themselves."""
    names = {value.name or "" for value in (*graph.inputs, *graph.outputs)}
    for part in parts:
        for edges in (part.site.reads, part.site.writes):
            names |= {name for name, edge in edges.items() if not isinstance(edge, Grid)}
    return names


def _dims(value: ir.Value) -> list[int | str | None]:
    if value.shape is None:
        raise ValueError(f"tensor '{value.name}' has no rank")
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def _metadata(fused: FusedNode) -> dict[str, str]:
    origins = [name for node in fused.nodes for name in origins_of(node)]
    return {
        SITE: fused.name,
        NODES: json.dumps([node.name for node in fused.nodes]),
        ORIGINS: json.dumps(list(dict.fromkeys(origins))),
    }


def _place(writer: GraphWriter, part: LoweredNode) -> None:
    """The steps of a fused node; those whose output nobody reads are left out."""
    metadata = _metadata(part.fused)
    between: dict[Between, str] = {}
    used = {output.name for output in part.fused.outputs if output.uses() or output.is_graph_output()}
    inner = {value.name for value in part.fused.inner}
    for step in part.steps:
        if isinstance(step.output, str) and step.output not in used | inner:
            continue
        inputs = [
            between[ref] if isinstance(ref, Between) else _read(writer, part, step, index, ref)
            for index, ref in enumerate(step.inputs)
        ]
        if isinstance(step.output, Between):
            name = between[step.output] = writer.names.free(f"{part.fused.output.name}/{step.output.suffix}")
            writer.inform(name, step.kind.writes, step.shape, "")
        else:
            edge = part.site.writes[step.output]
            name = writer.stands(step.output, edge)
        first = step.name in {node.name for node in part.fused.nodes}
        writer.add(step.kind, inputs, name, step.name if first else writer.names.free(step.name), metadata)


def _read(writer: GraphWriter, part: LoweredNode, step: Step, index: int, ref: Ref) -> str:
    """An input of a step: as the fused node reads it, or as its own head has just written it."""
    name = str(ref)
    edge = part.site.reads.get(name, part.site.writes.get(name))
    if edge is None:
        raise ValueError(f"the scheme does not say what '{name}' is for '{part.fused.name}'")
    return writer.need(name, edge)


def _place_float(writer: GraphWriter, part: LoweredNode) -> None:
    """The float operator as it stands in the optimised model, with its constants."""
    proto = ir.serde.serialize_node(part.fused.node)
    for index, value in enumerate(part.fused.node.inputs):
        if value is None:
            continue
        name, array = value.name or "", constant_of(value)
        if array is None:
            proto.input[index] = writer.need(name, part.site.reads[name])
        else:
            proto.input[index] = _constant(writer, name, array)
    for value in part.fused.node.outputs:
        if value.name:
            writer.stands(value.name, part.site.writes[value.name])
    del proto.metadata_props[:]
    _describe(proto, _metadata(part.fused) | {REASON: part.site.reason})
    writer.nodes.append(proto)


def _constant(writer: GraphWriter, name: str, array: Array) -> str:
    """A constant of the float model under its own name, once."""
    if name not in writer.constants:
        writer.constants[name] = numpy_helper.from_array(array, name)
    return name


def _model(graph: ir.Graph, writer: GraphWriter) -> onnx.ModelProto:
    borders = {value.name or "" for value in (*graph.inputs, *graph.outputs)}
    inputs, outputs = ([_port(value) for value in values] for values in (graph.inputs, graph.outputs))
    infos = [info for info in writer.infos if info.name not in borders]
    constants = list(writer.constants.values())
    proto = helper.make_graph(writer.nodes, graph.name or "quantised", inputs, outputs, constants, value_info=infos)
    return complete(model_around(proto, writer.functions))


def _port(value: ir.Value) -> onnx.ValueInfoProto:
    info = helper.make_tensor_value_info(value.name or "", plain_type(value).onnx, _dims(value))
    _describe(info, {TENSOR: value.name or ""})
    return info
