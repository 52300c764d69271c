"""compiler_group_patterns: operators that are found by a pattern, and that the compiler then schedules as one chain.

A pattern is a way through the float model's operators (decision 064): its nodes in turn, each reading what the one
before it writes, or those before it whose outputs it names among its inputs. Operators are taken in run order, each
once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx_ir as ir

from axbuild.errors import AxWarning
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.quantised import PlanGraph

TENSOR = "Tensor"
FLOAT32 = 1e-6
"""how near a number of a pattern is to the one that the model holds in 32 bits"""


@dataclass(frozen=True)
class OpPatternNode:
    """An operator. types: ONNX's, of which it has one, any where there are none; inputs, outputs: of match_mode Op
    names of the pattern's own, which say what reads what; of Tensor tensors of the model that it reads and writes;
    properties: attributes that it has, as the model writes them."""

    types: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class OpPattern:
    """type: Tile or Slice; match_mode: Op or Tensor."""

    nodes: tuple[OpPatternNode, ...]
    type: str = "Tile"
    match_mode: str = "Op"


@dataclass(frozen=True)
class PatternMatch:
    """sites: the fused nodes that the operators belong to, in run order; word: what it is called."""

    sites: tuple[str, ...]
    type: str
    word: str

    def across(self) -> AxWarning:
        return AxWarning(
            "AX596", f"{self.word}: they do not run in one subgraph on the NPU, so that nothing joins them"
        )


@dataclass(frozen=True)
class PatternSearch:
    """Looks for patterns among the operators of some fused nodes. lead: what stands before a pattern's name."""

    floats: FloatGraph
    site_of: Mapping[str, str]
    lead: str = ""

    def found(self, patterns: Sequence[OpPattern], told: list[AxWarning]) -> Iterator[PatternMatch]:
        """Every match, the first pattern's first; told: takes a warning of each pattern that matches nothing."""
        taken: set[str] = set()
        for number, pattern in enumerate(patterns):
            word = f"{self.lead}compiler_group_patterns[{number}]"
            before = len(taken)
            for name in self._order:
                if ops := self._from(pattern, name, taken):
                    taken.update(ops)
                    sites = tuple(dict.fromkeys(self.site_of[op] for op in self._order if op in ops))
                    yield PatternMatch(sites, pattern.type, f"{word} ('{sites[0]}' to '{sites[-1]}')")
            if len(taken) == before:
                told.append(AxWarning("AX595", f"{word} matches no operators{self._near(pattern)}"))

    @cached_property
    def _order(self) -> list[str]:
        return [name for name in self.floats.order if name in self.site_of]

    @cached_property
    def _tensors(self) -> dict[str, str]:
        return self.floats.aliases()

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._order:
            for tensor in dict.fromkeys(filter(None, self.floats.reads(name))):
                found.setdefault(tensor, []).append(name)
        return found

    def _from(self, pattern: OpPattern, name: str, taken: Collection[str]) -> tuple[str, ...] | None:
        """Operators for all nodes, this one for the first; None where there are none."""
        if name in taken or not self._fits(pattern, (), name):
            return None
        return next(self._ways(pattern, (name,), taken), None)

    def _ways(self, pattern: OpPattern, chosen: tuple[str, ...], taken: Collection[str]) -> Iterator[tuple[str, ...]]:
        """Operators for the nodes behind those that are chosen."""
        if len(chosen) == len(pattern.nodes):
            yield chosen
            return
        source = chosen[_before(pattern, len(chosen))[0]]
        readers = (name for tensor in self.floats.writes(source) for name in self._readers.get(tensor, ()))
        for name in dict.fromkeys(readers):
            if name not in taken and name not in chosen and self._fits(pattern, chosen, name):
                yield from self._ways(pattern, (*chosen, name), taken)

    def _fits(self, pattern: OpPattern, chosen: Sequence[str], name: str) -> bool:
        node, operator = pattern.nodes[len(chosen)], self.floats.node(name)
        reads, writes = set(self.floats.reads(name)), set(self.floats.writes(name))
        if pattern.match_mode == TENSOR:
            named = [[self._tensors.get(tensor, tensor) for tensor in side] for side in (node.inputs, node.outputs)]
            if not (reads.issuperset(named[0]) and writes.issuperset(named[1])):
                return False
        before = [chosen[place] for place in _before(pattern, len(chosen))]
        return (
            (not node.types or operator.op_type in node.types)
            and all(_has(operator, key, value) for key, value in node.properties.items())
            and all(reads.intersection(self.floats.writes(other)) for other in before)
        )

    def _near(self, pattern: OpPattern) -> str:
        known = {self.floats.node(name).op_type for name in self._order}
        unknown = [kind for node in pattern.nodes for kind in node.types if kind not in known]
        return f": the model has no {unknown[0]} there, types are ONNX's" if unknown else ""


def _before(pattern: OpPattern, place: int) -> list[int]:
    """The nodes that a node reads from."""
    if not place:
        return []
    own = set(pattern.nodes[place].inputs) if pattern.match_mode != TENSOR else set()
    return [n for n, node in enumerate(pattern.nodes[:place]) if own.intersection(node.outputs)] or [place - 1]


def _has(operator: ir.Node, name: str, value: Any) -> bool:
    attribute = operator.attributes.get(name)
    if attribute is None:
        return False
    found = attribute.value
    both = [list(one) if isinstance(one, list | tuple) else [one] for one in (found, value)]
    return len(both[0]) == len(both[1]) and all(
        math.isclose(a, b, rel_tol=FLOAT32) if isinstance(a, float) and isinstance(b, int | float) else a == b
        for a, b in zip(*both, strict=True)
    )


def sites_of(graph: PlanGraph) -> dict[str, str]:
    """Operator of the float model -> its fused node."""
    return {member: site for site, nodes in graph.sites().items() for member in nodes[0].members}
