"""Stage: a scheme as a plain QDQ model, which stock onnxruntime and other vendors' importers read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import NodeProto, TensorProto, helper, numpy_helper

from axbuild.toolchain.graph import (
    IR_VERSION,
    OPSET,
    Array,
    Names,
    activations_of,
    constant_of,
    model_file,
    needed_input,
    shape_of,
)
from axbuild.toolchain.kinds.codes import Edge, ElementType, Grid
from axbuild.toolchain.named import complete
from axbuild.toolchain.ops.base import BakedWeight, FusedNode
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme


@dataclass(frozen=True)
class ExportParams:
    """Nothing to choose: the scheme says everything."""


def export(model: Path, scheme: Path, out: Path, *, params: ExportParams) -> None:
    """Write `qdq.onnx` from `optimized.onnx` and `scheme.msgpack`."""
    graph = ir.load(model_file(model)).graph
    written = exported(graph, Scheme.read(scheme))
    (out / "qdq.onnx").write_bytes(written.SerializeToString(deterministic=True))


def exported(graph: ir.Graph, scheme: Scheme) -> onnx.ModelProto:
    """The float operators of every fused node, between pairs of QuantizeLinear and DequantizeLinear."""
    sites = placed(graph, scheme)
    writer = _Writer(Names(_names(graph)), {name: edge for _, site in sites for name, edge in site.writes.items()})
    for fused, site in sites:
        writer.place(fused, site)
    for value in graph.outputs:
        writer.finish(value.name or "")
    inputs, outputs = ([_port(value) for value in values] for values in (graph.inputs, graph.outputs))
    proto = helper.make_graph(writer.nodes, graph.name or "qdq", inputs, outputs, list(writer.constants.values()))
    opsets = [helper.make_opsetid("", OPSET)]
    return complete(helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="axbuild"))


def _names(graph: ir.Graph) -> list[str | None]:
    tensors = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    return [*(value.name for value in tensors), *graph.initializers, *(node.name for node in graph)]


def _port(value: ir.Value) -> onnx.ValueInfoProto:
    kind = int(value.dtype) if value.dtype is not None else TensorProto.FLOAT
    return helper.make_tensor_value_info(value.name or "", kind, shape_of(value))


@dataclass
class _Writer:
    """writes: float tensor -> what it is written as; standing: (float tensor, grid it is read on) -> its name behind
    the pair; own: float tensor -> the name it is written under, where that is another."""

    names: Names
    writes: Mapping[str, Edge]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    standing: dict[tuple[str, Edge], str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def place(self, fused: FusedNode, site: SiteScheme) -> None:
        weight = site.weight
        for node in (*reversed(fused.before), fused.node, *fused.swallowed):
            if weight is not None and node is fused.node:
                self._weighted(fused, site, weight)
            elif weight is None or not self._in_bias(fused, node):
                self._plain(node, site)

    def finish(self, name: str) -> None:
        """What the model gives stands under its own name, behind its pair where it has one."""
        source = self.read(name, self.writes.get(name))
        self.nodes.append(helper.make_node("Identity", [source], [name], self.names.free(f"{name}/output")))

    # Tensors --------------------------------------------------------------------------------------------------------

    def read(self, name: str, edge: Edge | None) -> str:
        """The tensor as a reader takes it: behind the pair it is written with, and behind the reader's own where that
        is on another grid."""
        written = self.writes.get(name)
        real = self.own.get(name, name)
        if isinstance(written, Grid):
            real = self._pair(name, real, written)
        return self._pair(name, real, edge) if isinstance(edge, Grid) and edge != written else real

    def _pair(self, name: str, source: str, grid: Grid) -> str:
        if (name, grid) not in self.standing:
            scale = self._constant(f"{name}/scale", np.array(grid.scale, np.float32))
            zero = self._constant(f"{name}/zero", np.array(grid.zero, grid.type.dtype))
            codes, real = (self.names.free(f"{name}/{word}") for word in ("codes", "real"))
            self._add("QuantizeLinear", [source, scale, zero], codes)
            self._add("DequantizeLinear", [codes, scale, zero], real)
            self.standing[name, grid] = real
        return self.standing[name, grid]

    def written(self, value: ir.Value) -> str:
        """The name under which a node writes a tensor; an output of the model gets its own only behind its pair."""
        name = value.name or ""
        if name and value.is_graph_output():
            self.own[name] = self.names.free(f"{name}/written")
        return self.own.get(name, name)

    def _constant(self, name: str, array: Array) -> str:
        free = self.names.free(name)
        self.constants[free] = numpy_helper.from_array(array, free)
        return free

    def _add(self, op_type: str, inputs: list[str], output: str, axis: int | None = None) -> None:
        node = helper.make_node(op_type, inputs, [output], self.names.free(f"{output}/node"))
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self.nodes.append(node)

    # Nodes ----------------------------------------------------------------------------------------------------------

    def _plain(self, node: ir.Node, site: SiteScheme) -> None:
        """A float operator as it stands, on what it reads."""
        proto = self._copied(node)
        for index, value in enumerate(node.inputs):
            if value is None:
                continue
            name, array = value.name or "", constant_of(value)
            if array is None:
                proto.input[index] = self.read(name, site.reads.get(name, self.writes.get(name)))
            elif name not in self.constants:
                self.constants[name] = numpy_helper.from_array(array, name)
        self.nodes.append(proto)

    def _copied(self, node: ir.Node) -> NodeProto:
        proto = ir.serde.serialize_node(node)
        del proto.metadata_props[:]
        for index, value in enumerate(node.outputs):
            proto.output[index] = self.written(value)
        return proto

    def _in_bias(self, fused: FusedNode, node: ir.Node) -> bool:
        """Whether the bias of the head holds what the node adds."""
        op = op_of(node)
        follow = op.follows(node) if op is not None else None
        if follow is None or follow.addend is None:
            return False
        (source,) = activations_of(node)
        self.own[node.outputs[0].name or ""] = self.own.get(source.name or "", source.name or "")
        return True

    def _weighted(self, fused: FusedNode, site: SiteScheme, weight: BakedWeight) -> None:
        """The head with its weight and all of its bias in codes."""
        node, op = fused.node, op_of(fused.node)
        if op is None or op.weight_input is None:
            raise ValueError(f"'{fused.name}' has no weight")
        (x,) = activations_of(node)
        edge = site.reads[x.name or ""]
        proto = self._copied(node)
        stored = self._stored(node, op.weight_input, weight)
        bias = self._bias(node, weight, edge)
        proto.input[0], proto.input[op.weight_input] = self.read(x.name or "", edge), stored
        if op.bias_inputs:
            del proto.input[2:]
            proto.input.append(bias)
            self.nodes.append(proto)
            return
        result, proto.output[0] = proto.output[0], self.names.free(f"{fused.name}/product")
        self.nodes.append(proto)
        self._add("Add", [proto.output[0], bias], result)

    def _stored(self, node: ir.Node, index: int, weight: BakedWeight) -> str:
        """The weight behind DequantizeLinear, in the layout of its operator."""
        value = needed_input(node, index)
        places = _places(node, index)
        codes = np.empty(places.size, np.int64)
        channels = np.empty(places.size, np.int64)
        codes[places.ravel()] = weight.codes.ravel()
        channels[places.ravel()] = np.repeat(np.arange(len(weight.scale)), places.size // len(weight.scale))
        shape = shape_of(value)
        codes, channels = codes.reshape(shape), channels.reshape(shape)
        zero = np.array(weight.zero or [0] * len(weight.scale), np.int64)
        axis = next((axis for axis, size in enumerate(shape) if _runs_along(channels, axis, len(weight.scale))), None)
        if axis is None:  # channels of groups, which no axis tells apart
            real = (codes - zero[channels]).astype(np.float32) * weight.scale[channels]
            return self._constant(f"{value.name}/grouped", real)
        inputs = [
            self._codes(f"{value.name}/codes", codes, weight.type),
            self._constant(f"{value.name}/scale", weight.scale),
            self._codes(f"{value.name}/zero", zero, weight.type),
        ]
        output = self.names.free(f"{value.name}/real")
        self._add("DequantizeLinear", inputs, output, axis=axis)
        return output

    def _codes(self, name: str, codes: Array, kind: ElementType) -> str:
        free = self.names.free(name)
        self.constants[free] = helper.make_tensor(free, kind.onnx, codes.shape, codes.ravel().tolist())
        return free

    def _bias(self, node: ir.Node, weight: BakedWeight, edge: Edge) -> str:
        if not isinstance(edge, Grid):
            raise ValueError(f"'{node.name}' reads no codes")
        scale = np.float64(edge.scale) * weight.scale.astype(np.float64)
        single = scale.astype(np.float32)
        if weight.bias.dtype != np.int32 or (single < np.finfo(np.float32).tiny).any():  # ONNX has no such codes
            real = weight.bias if weight.bias.dtype == np.float32 else (weight.bias * scale)
            return self._constant(f"{node.name}/bias", real.astype(np.float32))
        inputs = [
            self._constant(f"{node.name}/bias_codes", weight.bias),
            self._constant(f"{node.name}/bias_scale", single),
        ]
        output = self.names.free(f"{node.name}/bias")
        self._add("DequantizeLinear", inputs, output, axis=0)
        return output


def _places(node: ir.Node, index: int) -> Array:
    """Of each element of the weight [co, ...] its place in the constant: what the op makes of the places themselves."""
    op, value = op_of(node), needed_input(node, index)
    own, count = value.const_value, int(np.prod(shape_of(value)))
    numbers = np.arange(count, dtype=np.float64).reshape(shape_of(value))
    value.const_value = ir.tensor(numbers)
    places = op.weight(node) if op is not None else None
    value.const_value = own
    if places is None:
        raise ValueError(f"'{node.name}' has no weight")
    return places.astype(np.int64)


def _runs_along(channels: Array, axis: int, count: int) -> bool:
    """Whether the axis tells the channels apart."""
    shape = [-1 if index == axis else 1 for index in range(channels.ndim)]
    return channels.shape[axis] == count and bool((channels == np.arange(count).reshape(shape)).all())
