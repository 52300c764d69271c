"""Fused nodes back in float: the kinds of one that goes to the CPU become the float model's operators.

    codes -> kinds -> codes    =>    codes -> dequantise -> operators -> quantise -> codes

Then what only led from float32 to codes and back again between two operators on the CPU goes: the float tensor itself
passes. Both halves of such a border stand on the NPU, so that subgraphs meet in the float model's own tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.npu.plan.floats import FloatGraph, FloatGraphError
from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode


def with_float_form(graph: PlanGraph, floats: FloatGraph, sites: Sequence[str]) -> PlanGraph:
    """The graph with those fused nodes as float operators; it is returned as it is where none runs on the CPU."""
    if not sites:
        return graph
    done = _Rewriting(graph, floats).rewritten(sites)
    return without_detours(done)


@dataclass
class _Rewriting:
    graph: PlanGraph
    floats: FloatGraph
    nodes: list[PlanNode] = field(default_factory=list)
    reals: dict[str, str] = field(default_factory=dict)
    """tensor of codes -> what it was dequantised to"""

    def __post_init__(self) -> None:
        self.free = self.graph.names().free
        self.edges, self.shapes = dict(self.graph.edges), dict(self.graph.shapes)
        self.names = dict(self.graph.floats)

    def rewritten(self, sites: Sequence[str]) -> PlanGraph:
        found = self.graph.sites()
        quantised = [site for site in sites if all(node.kind is not None for node in found[site])]
        self.nodes = [node for node in self.graph.nodes if node.site not in quantised]
        for site in quantised:
            self._put_back(found[site])
        whole = replace(self.graph, edges=self.edges, shapes=self.shapes, floats=self.names)
        return whole.with_nodes(self.nodes)

    def _put_back(self, kinds: Sequence[PlanNode]) -> None:
        """The operators of one fused node instead of its kinds."""
        members = sorted(kinds[0].members, key=self.floats.order.index)
        written = {name for node in kinds for name in node.outputs}
        entering = {self.names.get(n, n): n for node in kinds for n in node.reads if n not in written}
        leaving = self._leaving(kinds, written)
        here = {tensor: name for tensor, name in leaving.items() if not isinstance(self.edges[name], Grid)}
        for member in members:
            reads = [tensor and self._real(tensor, here, entering, member) for tensor in self.floats.reads(member)]
            writes = self.floats.writes(member)
            for tensor in writes:
                if tensor and tensor not in here:
                    here[tensor] = self._tensor(tensor, self.floats.type_of(tensor), tensor)
            made = tuple(tensor and here[tensor] for tensor in writes)
            name, about = self.free(member), (kinds[0].site, (member,), kinds[0].origins)
            self.nodes.append(PlanNode(name, None, tuple(reads), made, *about))
        for tensor, name in leaving.items():
            if isinstance(grid := self.edges[name], Grid):
                self.nodes.append(PlanNode(self.free(f"{name}/quantise"), Quantize(grid), (here[tensor],), (name,)))

    def _leaving(self, kinds: Sequence[PlanNode], written: set[str]) -> dict[str, str]:
        """Float tensor -> tensor of the graph, of what others read of a fused node."""
        own = {id(node) for node in kinds}
        read = {name for node in self.graph.nodes if id(node) not in own for name in node.reads}
        wanted = [name for name in written if name in read or name in self.graph.outputs]
        return {self.names.get(name, name): name for name in sorted(wanted)}

    def _real(self, tensor: str, here: dict[str, str], entering: dict[str, str], reader: str) -> str:
        """The float form of a tensor that an operator reads."""
        if tensor in here:
            return here[tensor]
        if tensor not in entering:
            raise FloatGraphError(f"'{reader}' reads '{tensor}', of which the quantised model has no form there.")
        name = entering[tensor]
        grid = self.edges[name]
        if not isinstance(grid, Grid):
            return name
        if name not in self.reals:
            self.reals[name] = self._tensor(f"{name}/real", FP32, tensor, like=name)
            border = self.free(f"{name}/dequantise")
            self.nodes.append(PlanNode(border, Dequantize(grid), (name,), (self.reals[name],)))
        return self.reals[name]

    def _tensor(self, wanted: str, edge: Edge, tensor: str, like: str = "") -> str:
        name = self.free(wanted)
        self.edges[name], self.names[name] = edge, tensor
        self.shapes[name] = self.shapes[like] if like else self.floats.shape_of(tensor)
        return name


def without_detours(graph: PlanGraph) -> PlanGraph:
    """Without borders whose float tensor a reader on the CPU, or the model's user, can have as it was."""
    made = {name for node in graph.nodes if node.kind is None for name in node.outputs}
    sources = _returning(graph, made.union(graph.inputs))
    nodes = [_renamed(node, sources, {}) if node.kind is None else node for node in graph.nodes]
    # What the CPU makes of an output of the model takes its name, once; a second output of it keeps its border.
    given = {sources[name]: name for name in reversed(graph.outputs) if sources.get(name) in made - {*graph.outputs}}
    kept = (node for node in nodes if not {*given.values()}.intersection(node.outputs))
    return graph.with_nodes(_renamed(node, given, given) for node in kept)


def _returning(graph: PlanGraph, floats: set[str]) -> dict[str, str]:
    """Tensor dequantised at a border -> which of `floats` a border had quantised to it."""
    writers, found = graph.writers(), {}
    for node in graph.nodes:
        entry = writers.get(node.reads[0]) if node.leaves else None
        if entry is not None and entry.enters and entry.reads[0] in floats:
            found[node.outputs[0]] = entry.reads[0]
    return found


def _renamed(node: PlanNode, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> PlanNode:
    return replace(
        node,
        inputs=tuple(inputs.get(name, name) for name in node.inputs),
        outputs=tuple(outputs.get(name, name) for name in node.outputs),
    )
