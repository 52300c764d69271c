"""A placed graph -> subgraphs of alternating place, in run order.

The stage of a node is the smallest one that is not before its producers' and has its own place's parity: NPU even, CPU
odd. So independent nodes of one place share a subgraph, and no subgraph waits for itself. A constant stands with its
first reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode
from axbuild.toolchain.npu.plan.record import CPU, NPU


@dataclass(frozen=True)
class SubgraphCut:
    """One subgraph. inputs: what it reads of others and of the model; outputs: what others and the user read of it."""

    place: str
    nodes: tuple[PlanNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def cuts_of(graph: PlanGraph) -> list[SubgraphCut]:
    """The subgraphs of a graph that is not empty."""
    stages = list(_stages(graph))
    return [_cut(graph, stages, number) for number in sorted({stage for _, stage in stages})]


def _stages(graph: PlanGraph) -> Iterator[tuple[PlanNode, int]]:
    constants = {node.outputs[0]: node for node in graph.nodes if node.kind is not None and not node.reads}
    known = dict.fromkeys(graph.inputs, 0)
    for node in graph.nodes:
        if node.outputs[0] in constants:
            continue
        earliest = max((known[name] for name in node.reads if name not in constants), default=0)
        stage = earliest + (earliest % 2 != (node.kind is None))
        known.update(dict.fromkeys(node.outputs, stage))
        for name in node.reads:
            if name in constants and name not in known:
                known[name] = stage
                yield constants[name], stage
        yield node, stage


def _cut(graph: PlanGraph, stages: list[tuple[PlanNode, int]], number: int) -> SubgraphCut:
    nodes = tuple(node for node, stage in stages if stage == number)
    made = [name for node in nodes for name in node.outputs if name]
    read = dict.fromkeys(name for node in nodes for name in node.reads)
    elsewhere = {name for node, stage in stages if stage != number for name in node.reads}.union(graph.outputs)
    return SubgraphCut(
        CPU if number % 2 else NPU,
        nodes,
        tuple(name for name in read if name not in made),
        tuple(name for name in made if name in elsewhere),
    )
