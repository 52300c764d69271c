"""Cuts of a placed graph -> files of a partition, and what the record says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from axbuild.toolchain.graph import Names, Shape, constant_integers
from axbuild.toolchain.kinds.codes import ElementType, type_of
from axbuild.toolchain.npu.net import net_of
from axbuild.toolchain.npu.options import OpGroup
from axbuild.toolchain.npu.plan import batches
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.canonical import canonical_model
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.groups import PatternMatch
from axbuild.toolchain.npu.plan.placement import Judgement
from axbuild.toolchain.npu.plan.prelude import InsertedOp
from axbuild.toolchain.npu.plan.preprocess import RuntimeInput
from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode
from axbuild.toolchain.npu.plan.record import CPU, NPU, PlacedNode, PlannedSubgraph
from axbuild.toolchain.npu.plan.stages import SubgraphCut
from axbuild.toolchain.ops.host import counts_samples, numbers_samples

Borders = tuple[tuple[BoundaryTensor, ...], tuple[BoundaryTensor, ...], tuple[BoundaryTensor, ...]]


@dataclass
class SubgraphWriter:
    """Takes the cuts of one graph in run order; writes a file for each into `folder`."""

    graph: PlanGraph
    floats: FloatGraph
    sources: Mapping[str, RuntimeInput]
    judgements: Mapping[str, Judgement]
    folder: Path
    planned: list[PlannedSubgraph] = field(default_factory=list)
    axes: batches.Axes = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    inserted: dict[str, tuple[InsertedOp, ...]] = field(default_factory=dict)
    """input of the model -> what was written behind it"""

    def __post_init__(self) -> None:
        self.axes = batches.input_axes(self.graph, self.floats)

    @property
    def subgraphs(self) -> tuple[PlannedSubgraph, ...]:
        return tuple(self.planned)

    def take(self, cut: SubgraphCut, matches: Sequence[PatternMatch] = (), *, as_written: bool = False) -> None:
        """Write one subgraph's file. matches: of patterns, those that lie in it; as_written: shapes in its Reshapes
        stay what they are."""
        number = sum(subgraph.place == cut.place for subgraph in self.planned)
        name = f"subgraph_{cut.place.lower()}_{number}"
        layers: dict[str, str] = {}
        if cut.place == NPU:
            model, layers, inserted = canonical_model(self.graph, cut, self.sources)
            self.inserted = inserted | self.inserted
            together = self._runs_together(cut, model)
        else:
            model, together = self._on_cpu(cut, name), False
        (self.folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        nodes, check = tuple(self._nodes(cut)), "equal" if cut.place == NPU else ""
        about = (name, cut.place, cut.inputs, cut.outputs, nodes, together, check)
        single = self._as_written(cut) if as_written else ""
        groups = tuple(_group(cut, layers, match) for match in matches)
        self.planned.append(
            PlannedSubgraph(*about, sub_config=cut.sub_config, layers=layers, single=single, groups=groups)
        )

    def _runs_together(self, cut: SubgraphCut, model: onnx.ModelProto) -> bool:
        """Whether the NPU may run it on several samples at once."""
        axes = [self.axes[name] for name in cut.inputs]
        net = net_of(model)
        found = batches.npu_axes(net, dict(zip(net.inputs, axes, strict=True)))
        self.axes |= dict(zip(cut.outputs, found.values(), strict=True))
        return batches.runs_together(net, axes)

    def _on_cpu(self, cut: SubgraphCut, name: str) -> onnx.ModelProto:
        """The float model's operators with its own names; a second form of one float tensor comes in under another."""
        inside = (tensor for node in cut.nodes for tensor in self.floats.writes(node.members[0]))
        free = Names([*inside, *self.floats.constants]).free
        names = {tensor: free(self.graph.floats.get(tensor, tensor)) for tensor in cut.inputs}
        made: dict[str, str] = {}
        for node in cut.nodes:
            made |= zip(node.outputs, self.floats.writes(node.members[0]), strict=True)
        operators = [self._reading(node, names) for node in cut.nodes]
        inputs = {names[tensor]: self._form(tensor) for tensor in cut.inputs}
        outputs = {made[tensor]: self._form(tensor) for tensor in cut.outputs}
        model = self.floats.cut(operators, inputs, outputs, name)
        found = batches.cpu_axes(model, {names[tensor]: self.axes[tensor] for tensor in cut.inputs})
        self.axes |= {tensor: found[made[tensor]] for tensor in cut.outputs}
        for node in cut.nodes:
            if numbers_samples(self.floats.node(node.members[0])) and node.outputs[0] in cut.outputs:
                self.axes[node.outputs[0]] = 0
                self.steps[node.outputs[0]] = self.graph.shapes[node.inputs[0]][0]
        return model

    def _reading(self, node: PlanNode, names: Mapping[str, str]) -> onnx.NodeProto:
        """The float operator with the names under which this subgraph has its inputs."""
        operator = self.floats.bare(node.members[0])
        for place, tensor in enumerate(node.inputs):
            if tensor in names:
                operator.input[place] = names[tensor]
        return operator

    def _form(self, tensor: str) -> tuple[ElementType, Shape]:
        return type_of(self.graph.edges[tensor]), self.graph.shapes[tensor]

    def _nodes(self, cut: SubgraphCut) -> Iterable[PlacedNode]:
        sites: dict[str, PlanNode] = {}
        for node in cut.nodes:
            if node.site:
                sites.setdefault(node.site, node)
        for site, node in sites.items():
            head = self.floats.node(node.members[0]).op_type if node.members else node.name
            reasons = self.judgements[site].reasons if cut.place == CPU else ()
            yield PlacedNode(site, head, node.origins, reasons)

    def borders(self) -> Borders:
        """Inputs, outputs and inner boundary tensors of the whole."""
        inputs = tuple(self._source(self.sources[name]) for name in self.graph.inputs)
        outputs = tuple(self._tensor(name) for name in self.graph.outputs)
        made = dict.fromkeys(name for subgraph in self.planned for name in subgraph.outputs)
        inner = tuple(self._tensor(name) for name in made if name not in self.graph.outputs)
        return inputs, outputs, inner

    def _source(self, source: RuntimeInput) -> BoundaryTensor:
        axis = self.axes[source.name]
        return BoundaryTensor(source.name, source.type.dtype, source.source_shape, axis, 0, source.layout, source.color)

    def _tensor(self, name: str) -> BoundaryTensor:
        kind, shape = self._form(name)
        return BoundaryTensor(name, kind.dtype, shape, self.axes[name], self.steps.get(name, 0))

    def _as_written(self, cut: SubgraphCut) -> str:
        """The first Reshape whose shape says how many samples there are; "" where none does."""
        members = dict.fromkeys(name for node in cut.nodes for name in node.members)
        for node in filter(counts_samples, self.floats.nodes(tuple(members))):
            shape = list(constant_integers(node, 1, "shape") or ())
            return f"Reshape '{node.name}' makes the shape {shape}, of one batch, and disable_ir_fix keeps it"
        return ""

    def single(self) -> str:
        """Why several samples cannot be answered together; "" where they can."""
        writers = self.graph.writers()
        for name in self.graph.outputs:
            if self.axes[name] is None:
                node = writers[name]
                size = "a size that depends on data" if not self._tensor(name).static else "no axis for samples"
                return f"Output '{name}' of '{node.members[0] if node.members else node.name}' has {size}"
        return ""


def _group(cut: SubgraphCut, layers: Mapping[str, str], match: PatternMatch) -> OpGroup:
    """layers: as in PlannedSubgraph."""
    own = {name: tensor for tensor, name in layers.items()}
    own |= {name: f"output_{number}" for number, name in enumerate(cut.outputs)}
    return OpGroup(
        match.type, tuple(own[node.outputs[0]] for node in cut.nodes if node.site in match.sites), match.word
    )
