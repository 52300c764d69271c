"""The quantised model as partition plans it: kinds and float operators in order, edges, and what each stands for.

The notes that the quantiser leaves in `metadata_props` are read here alone: of a node "axbuild.site" (its fused node,
"" at a border between two), "axbuild.nodes" (operators of optimized.onnx, head first), "axbuild.origins" (the user's),
"axbuild.reason" (why a float operator has no integer form); of a tensor "axbuild.tensor" (its float tensor).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx
from onnx import numpy_helper

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import DOMAIN, Kind
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid, type_numbered
from axbuild.toolchain.kinds.registry import read_node
from axbuild.toolchain.npu.plan.floats import FloatGraph, FloatGraphError

SITE, NODES, ORIGINS, REASON = "axbuild.site", "axbuild.nodes", "axbuild.origins", "axbuild.reason"
TENSOR = "axbuild.tensor"


@dataclass(frozen=True)
class PlanNode:
    """An operator. kind: None where it runs on the CPU, as the float model's operator `members[0]`.

    inputs: of a kind its activations; of a float operator all by place, "" for constants and what is left out.
    site, members, origins: its fused node ("" at a border), operators of optimized.onnx, the user's.
    """

    name: str
    kind: Kind | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    site: str = ""
    members: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    reason: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for name in self.inputs if name)

    @property
    def enters(self) -> bool:
        """Whether it is a border from float32 to codes."""
        kind = self.kind
        return kind is not None and not self.site and kind.reads == (FP32,) and isinstance(kind.writes, Grid)

    @property
    def leaves(self) -> bool:
        """Whether it is a border from codes to float32."""
        kind = self.kind
        return kind is not None and not self.site and kind.writes == FP32 and isinstance(kind.reads[0], Grid)


@dataclass(frozen=True)
class PlanGraph:
    """nodes: in an order in which they may run; edges, shapes: of every tensor; floats: tensor -> its float tensor."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[PlanNode, ...]
    edges: dict[str, Edge]
    shapes: dict[str, Shape]
    floats: dict[str, str]

    def writers(self) -> dict[str, PlanNode]:
        return {name: node for node in self.nodes for name in node.outputs}

    def sites(self) -> dict[str, list[PlanNode]]:
        """Fused node -> what it became, in order."""
        found: dict[str, list[PlanNode]] = {}
        for node in self.nodes:
            if node.site:
                found.setdefault(node.site, []).append(node)
        return found

    def with_nodes(self, nodes: Iterable[PlanNode]) -> PlanGraph:
        """The same with other nodes, put in order, without those that nobody reads."""
        return replace(self, nodes=tuple(_needed(ordered(list(nodes), self.inputs), self.outputs)))


def read_graph(model: onnx.ModelProto, floats: FloatGraph) -> PlanGraph:
    """The graph of quant_axmodel.onnx; raises AxError where it is not well formed."""
    return _Reader(model, floats).read()


class _Reader:
    def __init__(self, model: onnx.ModelProto, floats: FloatGraph) -> None:
        self.model = model
        self.floats = floats
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.edges: dict[str, Edge] = {}
        self.shapes: dict[str, Shape] = {}
        infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
        notes = {info.name: _notes(info).get(TENSOR, "") for info in infos}
        self.names = {name: tensor for name, tensor in notes.items() if tensor}

    def read(self) -> PlanGraph:
        graph = self.model.graph
        for info in graph.input:
            self._input(info)
        nodes = tuple(self._node(node) for node in graph.node)
        inputs, outputs = (tuple(info.name for info in side) for side in (graph.input, graph.output))
        if unknown := [name for name in outputs if name not in self.edges]:
            raise FloatGraphError(f"Nothing writes the output '{unknown[0]}' of the quantised model.")
        return PlanGraph(inputs, outputs, nodes, self.edges, self.shapes, self.names)

    def _input(self, info: onnx.ValueInfoProto) -> None:
        kind = type_numbered(info.type.tensor_type.elem_type)
        if kind is None:
            raise FloatGraphError(f"Input '{info.name}' has an element type that no subgraph takes.")
        self.edges[info.name] = kind
        self.shapes[info.name] = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)

    def _node(self, node: onnx.NodeProto) -> PlanNode:
        notes = _notes(node)
        members, origins = (tuple(json.loads(notes.get(key, "[]"))) for key in (NODES, ORIGINS))
        about = (notes.get(SITE, ""), members, origins, notes.get(REASON, ""))
        if node.domain != DOMAIN:
            return self._float(node, *about)
        kind, inputs = read_node(node, self.constants)
        if unknown := [name for name in inputs if name not in self.edges]:
            raise FloatGraphError(f"Node '{node.name}' reads '{unknown[0]}' before anything writes it.")
        self.edges[node.output[0]] = self._written(kind, inputs)
        try:
            self.shapes[node.output[0]] = kind.output_shape(*(self.shapes[name] for name in inputs))
        except AxError as error:
            raise AxError(f"Node '{node.name}': {error.sentence}", hint=error.hint, code=error.code) from error
        return PlanNode(node.name, kind, inputs, (node.output[0],), *about)

    def _written(self, kind: Kind, inputs: Sequence[str]) -> Edge:
        """What the kind writes; where codes only move, on the grid they come with."""
        edge = kind.writes
        if isinstance(edge, Grid) or not edge.coded:
            return edge
        return next((e for name in inputs if isinstance(e := self.edges[name], Grid)), edge)

    def _float(self, node: onnx.NodeProto, site: str, members: tuple[str, ...], *about: Any) -> PlanNode:
        if len(members) != 1:
            raise FloatGraphError(f"The float operator '{node.name}' does not name the one it is in the float model.")
        own = self.floats.node(members[0])
        for name, tensor in zip(node.output, own.output, strict=False):
            if name:
                self.edges[name], self.shapes[name] = self.floats.type_of(tensor), self.floats.shape_of(tensor)
                self.names.setdefault(name, tensor)
        reads = tuple("" if name in self.constants else name for name in node.input)
        return PlanNode(node.name, None, reads, tuple(node.output), site or members[0], members, *about)


def _notes(holder: onnx.NodeProto | onnx.ValueInfoProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in holder.metadata_props}


def ordered(nodes: Sequence[PlanNode], inputs: Iterable[str]) -> list[PlanNode]:
    """In an order in which they may run, as near to the given one as possible."""
    known, waiting, done = set(inputs), list(nodes), []
    while waiting:
        ready = next((node for node in waiting if known.issuperset(node.reads)), None)
        if ready is None:
            raise FloatGraphError(f"The operators from '{waiting[0].name}' on wait for each other.")
        waiting.remove(ready)
        known.update(ready.outputs)
        done.append(ready)
    return done


def _needed(nodes: Sequence[PlanNode], outputs: Iterable[str]) -> Iterator[PlanNode]:
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.reads)
            kept.append(node)
    return reversed(kept)
