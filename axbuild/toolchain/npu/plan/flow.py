"""What flows from operator to operator: a quantised graph, or a float one, as sub_configs are looked up in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from axbuild.toolchain.graph import names_of
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.placement import Judgement
from axbuild.toolchain.npu.plan.quantised import PlanGraph
from axbuild.toolchain.ops.base import FusedNode

FORM = "/"
"""between a float tensor's name and that of one of its forms in the quantised model"""


@dataclass(frozen=True)
class FlowNode:
    """An operator. site: its fused node, "" at a border; on_cpu: why it runs there, "" on the NPU."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    site: str = ""
    on_cpu: str = ""

    @property
    def word(self) -> str:
        """What a user calls it."""
        return self.site or self.name


@dataclass(frozen=True)
class Flow:
    """steps: in run order. others: name of a tensor in another model -> what it is called here; swallowed: tensor that
    is none here -> the fused node it lies inside."""

    steps: tuple[FlowNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    others: Mapping[str, tuple[str, ...]]
    swallowed: Mapping[str, str]

    @cached_property
    def tensors(self) -> dict[str, FlowNode | None]:
        """Tensor -> the step that writes it; None for an input."""
        written = {name: step for step in self.steps for name in step.writes}
        return dict.fromkeys(self.inputs, None) | written

    @cached_property
    def readers(self) -> dict[str, list[FlowNode]]:
        found: dict[str, list[FlowNode]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.reads):
                found.setdefault(name, []).append(step)
        return found

    @property
    def known(self) -> list[str]:
        """Every name that a tensor may be called by."""
        return list(dict.fromkeys((*self.tensors, *self.others)))

    def forms(self, name: str) -> tuple[str, ...]:
        """The tensors here that a name stands for."""
        return (name,) if name in self.tensors else self.others.get(name, ())

    def writes_of(self, name: str) -> list[str]:
        """What an operator of that name writes; none where there is none."""
        found = [tensor for step in self.steps if name in (step.name, step.site) for tensor in step.writes]
        return [tensor for tensor in found if not self.site_around(tensor)]

    def site_around(self, tensor: str) -> str:
        """The fused node that a tensor lies inside: one of its steps writes it, another one reads it."""
        writer = self.tensors[tensor]
        if writer is None or not writer.site:
            return ""
        return writer.site if any(step.site == writer.site for step in self.readers.get(tensor, ())) else ""

    def around(self, site: str) -> tuple[list[str], list[str]]:
        """What enters a fused node, and what leaves it."""
        steps = [step for step in self.steps if step.site == site]
        made = dict.fromkeys(name for step in steps for name in step.writes)
        read = dict.fromkeys(name for step in steps for name in step.reads)
        return [name for name in read if name not in made], [name for name in made if not self.site_around(name)]

    def behind(self, tensors: Iterable[str]) -> set[FlowNode]:
        """Steps that those tensors lead to."""
        known, found = set(tensors), set()
        for step in self.steps:
            if known.intersection(step.reads):
                known.update(step.writes)
                found.add(step)
        return found

    def before(self, tensors: Iterable[str], starts: Iterable[str]) -> list[FlowNode]:
        """Steps that lead to those tensors, back to `starts`, in run order."""
        wanted, ends, found = set(tensors), set(starts), []
        for step in reversed(self.steps):
            if wanted.intersection(step.writes):
                wanted.update(name for name in step.reads if name not in ends)
                found.append(step)
        return found[::-1]


def planned_flow(graph: PlanGraph, floats: FloatGraph, judgements: Mapping[str, Judgement]) -> Flow:
    """The quantised model as it is cut; a constant is no step, whoever reads it has its own."""
    constants = graph.constants()
    steps = tuple(
        FlowNode(
            node.name,
            tuple(name for name in node.reads if name not in constants),
            node.outputs,
            node.site,
            judgements[node.site].sentence if node.kind is None else "",
        )
        for node in graph.nodes
        if node.outputs[0] not in constants
    )
    forms: dict[str, list[str]] = {}
    for name in (*graph.inputs, *(name for step in steps for name in step.writes)):
        forms.setdefault(graph.floats.get(name, name), []).append(name)
    aliases = floats.aliases()
    others = {alias: tuple(forms[name]) for alias, name in aliases.items() if name in forms}
    inside = {tensor: site for site, nodes in graph.sites().items() for tensor in _written(floats, nodes[0].members)}
    swallowed = {alias: inside[name] for alias, name in aliases.items() if name in inside and name not in forms}
    return Flow(steps, graph.inputs, graph.outputs, others, swallowed)


def _written(floats: FloatGraph, members: Iterable[str]) -> Iterable[str]:
    return (tensor for member in members for tensor in floats.writes(member) if tensor)


def float_flow(
    graph: ir.Graph, judged: Sequence[tuple[FusedNode, Judgement]], asked: Iterable[str], *, settled: bool
) -> Flow:
    """A float model before it is quantised; asked: names, of which those of forms stand for the float tensor's.

    settled: whether its fused nodes are already those that will be quantised.
    """
    about = {node: (fused.name if settled else "", judgement) for fused, judgement in judged for node in fused.nodes}
    steps = tuple(_step(node, *about[node]) for node in graph)
    values = [*graph.inputs, *(value for node in graph for value in node.outputs if value.name)]
    others = {alias: (value.name or "",) for value in values for alias in names_of(value)}
    names = {value.name for value in values}
    others |= {name: (base,) for name in asked if (base := name.rpartition(FORM)[0]) in names and name not in names}
    inputs, outputs = (tuple(value.name or "" for value in side) for side in (graph.inputs, graph.outputs))
    return Flow(steps, inputs, outputs, others, {})


def _step(node: ir.Node, site: str, judgement: Judgement) -> FlowNode:
    reads = [value.name or "" for value in node.inputs if value is not None and _flows(value)]
    writes = [value.name for value in node.outputs if value.name]
    return FlowNode(node.name or "", tuple(reads), tuple(writes), site, judgement.sentence)


def _flows(value: ir.Value) -> bool:
    """Whether it is no constant."""
    return value.producer() is not None or value.is_graph_input()
