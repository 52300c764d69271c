"""What a quantised model must be, in code: the specification of `quant_axmodel.onnx`.

1. On every edge the reader's scale, zero and element type are the writer's, and its shape is what the operator makes of
   its inputs' shapes; what only moves elements hands the grid on.
2. Every operator of ours is well formed, its element types are ones it may have, and its body is there.
3. Every tensor that is read is written before, once; what is written is read, or is an output.
4. Float operators read and write plain elements only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import DOMAIN, Kind
from axbuild.toolchain.kinds.codes import Edge, Grid, type_numbered, type_of
from axbuild.toolchain.kinds.registry import read_node
from axbuild.toolchain.quant.tensors import shape_in


class GraphFault(AxError):
    """A quantised model that is not sound; where the quantiser made it, a defect of the quantiser. found: where and
    what, for a sentence of another's."""

    code = "AX359"

    def __init__(self, node: str, sentence: str) -> None:
        super().__init__(f"The quantised model is not sound at '{node}': {sentence}.")
        self.found = f"at '{node}': {sentence}"


@dataclass(frozen=True)
class VerifiedGraph:
    """What was read on the way. edges, shapes: of every tensor; kinds: tensor -> the kind that writes it, and the
    activations of that."""

    edges: dict[str, Edge]
    shapes: dict[str, Shape]
    kinds: dict[str, tuple[Kind, tuple[str, ...]]]


def verify(model: onnx.ModelProto) -> VerifiedGraph:
    """Raises GraphFault, or the node's own error, at the first thing that does not hold."""
    verifier = _Verifier(model)
    verifier.run()
    return VerifiedGraph(verifier.edges, verifier.shapes, verifier.kinds)


@dataclass
class _Verifier:
    model: onnx.ModelProto
    edges: dict[str, Edge] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    shapes: dict[str, Shape] = field(default_factory=dict)
    kinds: dict[str, tuple[Kind, tuple[str, ...]]] = field(default_factory=dict)

    def run(self) -> None:
        graph = self.model.graph
        bodies = {(function.name, function.overload) for function in self.model.functions}
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for port in graph.input:
            self._write(port.name, port.name, _plain(port))
        types = {info.name: _plain(info) for info in (*graph.value_info, *graph.output)}
        self.shapes = {info.name: shape_in(info) for info in (*graph.input, *graph.value_info, *graph.output)}
        for node in graph.node:
            if node.domain == DOMAIN:
                self._kind(node, constants, bodies)
            else:
                self._float(node, constants, types)
        for port in graph.output:
            self._output(port)
        self._reachable(graph)

    def _kind(
        self, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], bodies: set[tuple[str, str]]
    ) -> None:
        own = {name: numpy_helper.to_array(constants[name]) for name in node.input if name in constants}
        kind, activations = read_node(node, own)
        self.readers.update(node.input)
        if (node.op_type, node.overload) not in bodies or node.overload != kind.overload:
            raise GraphFault(node.name, f"the body {node.op_type} '{node.overload}' is not there")
        found = [self._read(node, name) for name in activations]
        for name, edge, wanted in zip(activations, found, kind.reads, strict=True):
            if not _fits(edge, wanted):
                raise GraphFault(node.name, f"it reads '{name}' as {wanted}, and that is {edge}")
        if len(node.output) != 1:
            raise GraphFault(node.name, f"it has {len(node.output)} outputs, and a kind has one")
        self._write(node.name, node.output[0], written_edge(kind, found))
        self._shape(node, kind, activations)
        self.kinds[node.output[0]] = kind, activations

    def _shape(self, node: onnx.NodeProto, kind: Kind, activations: Sequence[str]) -> None:
        missing = [name for name in (*activations, *node.output) if name not in self.shapes]
        if missing:
            raise GraphFault(node.name, f"the shape of '{missing[0]}' is not known")
        made, said = kind.output_shape(*(self.shapes[name] for name in activations)), self.shapes[node.output[0]]
        if made != said:
            raise GraphFault(node.name, f"it makes {list(made)} of '{node.output[0]}', which is {list(said)}")

    def _float(
        self, node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], types: Mapping[str, Edge | None]
    ) -> None:
        for name in node.input:
            if name and name not in constants and isinstance(self._read(node, name), Grid):
                raise GraphFault(node.name, f"the float operator reads the codes '{name}'")
        self.readers.update(node.input)
        for name in node.output:
            if name:
                self._write(node.name, name, types.get(name))

    def _read(self, node: onnx.NodeProto, name: str) -> Edge:
        if name not in self.edges:
            raise GraphFault(node.name, f"nothing has written '{name}' before it is read")
        return self.edges[name]

    def _write(self, node: str, name: str, edge: Edge | None) -> None:
        if edge is None or (not isinstance(edge, Grid) and edge.coded):
            raise GraphFault(node, f"the element type of '{name}' is not known")
        if name in self.edges:
            raise GraphFault(node, f"'{name}' is written twice")
        self.edges[name] = edge

    def _output(self, port: onnx.ValueInfoProto) -> None:
        edge = self.edges.get(port.name)
        if edge is None:
            raise GraphFault(port.name, "nothing writes this output")
        if isinstance(edge, Grid) or edge != _plain(port):
            raise GraphFault(port.name, f"the output is {_plain(port)}, and its writer makes {edge}")
        self.readers.add(port.name)

    def _reachable(self, graph: onnx.GraphProto) -> None:
        for node in graph.node:
            if not any(name in self.readers for name in node.output):
                raise GraphFault(node.name, "nobody reads what it writes")
        for tensor in graph.initializer:
            if tensor.name not in self.readers:
                raise GraphFault(tensor.name, "nobody reads this constant")


def written_edge(kind: Kind, reads: Sequence[Edge]) -> Edge:
    """What a kind writes: its own edge, or, where it only moves codes, the grid of what it reads."""
    writes = kind.writes
    if isinstance(writes, Grid) or not writes.coded:
        return writes
    grids = {edge for edge in reads if type_of(edge) == writes}
    if len(grids) != 1:
        raise GraphFault(kind.op_type, f"it moves codes of {len(grids)} grids into one tensor")
    return grids.pop()


def _fits(edge: Edge, wanted: Edge) -> bool:
    """A reader that names a grid wants exactly that; one that names a type takes any grid of it."""
    return edge == wanted if isinstance(wanted, Grid) else type_of(edge) == wanted


def _plain(info: onnx.ValueInfoProto) -> Edge | None:
    return type_numbered(info.type.tensor_type.elem_type)
