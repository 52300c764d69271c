"""A placed graph -> subgraphs of alternating place, in run order.

The stage of a node is the smallest one that is not before its producers' and has its own colour, which is its number
modulo the number of colours: the NPU, the CPU, and each sub_config one of its own. So independent nodes of one place
share a subgraph, a sub_config has its own, and no subgraph waits for itself. A constant stands in each subgraph that
reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from axbuild.toolchain.npu.plan.quantised import PlanGraph, PlanNode, ordered
from axbuild.toolchain.npu.plan.record import CPU, NPU

ON_NPU, ON_CPU, COMMON = 0, 1, 2
"""the colours of what no sub_config takes, and how many they are"""


@dataclass(frozen=True)
class SubgraphCut:
    """One subgraph. inputs: what it reads of others and of the model; outputs: what others and the user read of it;
    sub_config: the one that it was cut out for, by its place in the list."""

    place: str
    nodes: tuple[PlanNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sub_config: int | None = None


def cuts_of(graph: PlanGraph, parts: Sequence[AbstractSet[str]] = ()) -> list[SubgraphCut]:
    """The subgraphs of a graph that is not empty; parts: of each sub_config, the names of its nodes."""
    colours = COMMON + len(parts)
    placed = list(_placed(graph, _stages(graph, parts)))
    return [_cut(graph, placed, number, number % colours) for number in sorted({stage for _, stage in placed})]


def _stages(graph: PlanGraph, parts: Sequence[AbstractSet[str]]) -> dict[str, int]:
    """Tensor -> the stage that makes it, of all but constants."""
    constants, colours = graph.constants(), COMMON + len(parts)
    found = dict.fromkeys(graph.inputs, 0)
    for block, colour in _blocks(graph, parts):
        earliest = max((found[name] for name in block.reads if name not in constants), default=0)
        found.update(dict.fromkeys(block.outputs, earliest + (colour - earliest) % colours))
    return found


def _blocks(graph: PlanGraph, parts: Sequence[AbstractSet[str]]) -> Iterator[tuple[PlanNode, int]]:
    """What has one stage, with its colour, in run order: a node, or all of a sub_config."""
    constants, taken = graph.constants(), frozenset[str]().union(*parts)
    joined = [_joined(part, graph) for part in parts]
    own = {id(block): COMMON + number for number, block in enumerate(joined)}
    alone = [node for node in graph.nodes if node.name not in taken and node.outputs[0] not in constants]
    for block in ordered([*alone, *joined], [*graph.inputs, *constants]):
        yield block, own.get(id(block), ON_CPU if block.kind is None else ON_NPU)


def _joined(part: AbstractSet[str], graph: PlanGraph) -> PlanNode:
    nodes = [node for node in graph.nodes if node.name in part]
    made = [name for node in nodes for name in node.outputs]
    read = dict.fromkeys(name for node in nodes for name in node.reads if name not in made)
    return PlanNode(nodes[0].name, None, tuple(read), tuple(made))


def _placed(graph: PlanGraph, stages: Mapping[str, int]) -> Iterator[tuple[PlanNode, int]]:
    constants, standing = graph.constants(), set[tuple[str, int]]()
    for node in graph.nodes:
        if node.outputs[0] in constants:
            continue
        stage = stages[next(filter(None, node.outputs))]
        for name in node.reads:
            if name in constants and (name, stage) not in standing:
                standing.add((name, stage))
                yield constants[name], stage
        yield node, stage


def _cut(graph: PlanGraph, placed: Sequence[tuple[PlanNode, int]], number: int, colour: int) -> SubgraphCut:
    nodes = tuple(node for node, stage in placed if stage == number)
    made = [name for node in nodes for name in node.outputs if name]
    read = dict.fromkeys(name for node in nodes for name in node.reads)
    elsewhere = {name for node, stage in placed if stage != number for name in node.reads}.union(graph.outputs)
    elsewhere -= graph.constants().keys()
    return SubgraphCut(
        CPU if colour == ON_CPU else NPU,
        nodes,
        tuple(name for name in read if name not in made),
        tuple(name for name in made if name in elsewhere),
        colour - COMMON if colour >= COMMON else None,
    )
