"""The quantised model as partition plans it: kinds and float operators in order, and what each of them stands for."""

from __future__ import annotations

import heapq
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx

from axbuild.errors import AxError
from axbuild.toolchain.graph import ORIGINS, Names, Shape
from axbuild.toolchain.kinds.base import DOMAIN, Kind
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.quant.tensors import NODES, REASON, SITE, TENSOR
from axbuild.toolchain.quant.verify import verify


class PlanError(AxError):
    """AX408: a quantised model that cannot be cut into subgraphs."""

    code = "AX408"


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

    def names(self) -> Names:
        """What is taken where something new gets a name."""
        return Names([*self.edges, *(node.name for node in self.nodes)])

    def writers(self) -> dict[str, PlanNode]:
        return {name: node for node in self.nodes for name in node.outputs}

    def constants(self) -> dict[str, PlanNode]:
        """Tensor -> the operator that makes it of nothing, for others of the graph."""
        made = (node for node in self.nodes if node.kind is not None and not node.reads)
        return {node.outputs[0]: node for node in made if node.outputs[0] not in self.outputs}

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


def read_graph(model: onnx.ModelProto) -> PlanGraph:
    """The graph of quant_axmodel.onnx; raises what `quant.verify` does where it is not sound."""
    graph = model.graph
    verified = verify(model)
    infos = (*graph.input, *graph.value_info, *graph.output)
    floats = {info.name: tensor for info in infos if (tensor := _notes(info).get(TENSOR))}
    constants = {tensor.name for tensor in graph.initializer}
    nodes = tuple(_node(node, constants, verified.kinds) for node in graph.node)
    inputs, outputs = (tuple(info.name for info in side) for side in (graph.input, graph.output))
    return PlanGraph(inputs, outputs, nodes, verified.edges, verified.shapes, floats)


def _node(
    node: onnx.NodeProto, constants: Container[str], kinds: Mapping[str, tuple[Kind, tuple[str, ...]]]
) -> PlanNode:
    notes = _notes(node)
    members, origins = (tuple(json.loads(notes.get(key, "[]"))) for key in (NODES, ORIGINS))
    about = (notes.get(SITE, ""), members, origins, notes.get(REASON, ""))
    if node.domain == DOMAIN:
        kind, inputs = kinds[node.output[0]]
        return PlanNode(node.name, kind, inputs, tuple(node.output), *about)
    if len(members) != 1:
        raise PlanError(f"The float operator '{node.name}' does not name the one it is in the float model.")
    reads = tuple("" if name in constants else name for name in node.input)
    return PlanNode(node.name, None, reads, tuple(node.output), *about)


def _notes(holder: onnx.NodeProto | onnx.ValueInfoProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in holder.metadata_props}


def ordered(nodes: Sequence[PlanNode], inputs: Iterable[str]) -> list[PlanNode]:
    """In an order in which they may run, as near to the given one as possible."""
    missing = [set(node.reads).difference(inputs) for node in nodes]
    readers: dict[str, list[int]] = {}
    for number, names in enumerate(missing):
        for name in names:
            readers.setdefault(name, []).append(number)
    ready = [number for number, names in enumerate(missing) if not names]
    done: list[PlanNode] = []
    while ready:
        done.append(nodes[heapq.heappop(ready)])
        for name in done[-1].outputs:
            for number in readers.get(name, ()):
                missing[number].discard(name)
                if not missing[number]:
                    heapq.heappush(ready, number)
    if len(done) < len(nodes):
        stuck = next(node for node, names in zip(nodes, missing, strict=True) if names)
        raise PlanError(f"The operators from '{stuck.name}' on wait for each other.")
    return done


def _needed(nodes: Sequence[PlanNode], outputs: Iterable[str]) -> list[PlanNode]:
    """Those that lead to an output."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.reads)
            kept.append(node)
    return kept[::-1]
