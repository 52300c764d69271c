"""Tensors that share one grid: what only moves elements has its input's, and joined inputs take the output's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import chain

import onnx_ir as ir

from axbuild.toolchain.graph import shape_of
from axbuild.toolchain.kinds.codes import ElementType, Grid
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.histogram import stride_of
from axbuild.toolchain.quant.ranges import Range
from axbuild.toolchain.quant.statistics import Observed, Statistics, StatisticsError, TensorStatistics
from axbuild.toolchain.quant.watch import kept_of

ROOM = 2.0
"""A joined input takes the output's grid while that is at most so many times as wide as its own: one bit lost"""

MET = 1 / 16
"""values a sample that reach a channel's end where no value in the histogram does. In a transformer it is one in each
sample, in most pictures none: of 1, 1/4, 1/16, 1/32 and 0 this served both"""


@dataclass
class Groups:
    """Union-find over names of tensors; the owner of a group is its first tensor in graph order."""

    parents: dict[str, str] = field(default_factory=dict)

    def root(self, name: str) -> str:
        parent = self.parents.setdefault(name, name)
        while parent != name:
            name, parent = parent, self.parents[parent]
        return name

    def join(self, first: str, second: str) -> None:
        """`first`'s root becomes the root of both."""
        self.parents[self.root(second)] = self.root(first)

    def members(self) -> dict[str, list[str]]:
        """Root -> members, in the order in which they were seen."""
        found: dict[str, list[str]] = {}
        for name in self.parents:
            found.setdefault(self.root(name), []).append(name)
        return found


class Observations:
    """Of every tensor that has values: its own, or those of what it is made of, or of what is kept of it."""

    def __init__(self, graph: ir.Graph, statistics: Statistics) -> None:
        self.statistics = statistics
        self.producers = {value.name or "": node for node in graph for value in node.outputs}
        self.values = {value.name or "": value for value in (*graph.inputs, *chain(*(n.outputs for n in graph)))}
        self.results = {value.name or "" for value in graph.outputs}
        self.known: dict[str, Observed] = {}
        self.extents: dict[str, Range] = {}

    def given(self, name: str) -> bool:
        """Whether the tensor is an output of the model."""
        return name in self.results

    def of(self, name: str) -> Observed:
        """Raises StatisticsError where the statistics lack the tensor."""
        if name not in self.known:
            own = self.statistics.tensors.get(name)
            self.known[name] = self._own(name, own) if own is not None else merged(map(self.of, self._parts(name)))
        return self.known[name]

    def _own(self, name: str, own: TensorStatistics) -> Observed:
        """Of the values that reach a channel's end, as many as MET has it, the histogram has every `stride`-th."""
        return own.with_missed(MET * self.statistics.samples / stride_of(shape_of(self.values[name])))

    def extent(self, name: str) -> Range:
        """The ends of `of`, without merging histograms, and the reals that the tensor must hold beside them."""
        if name not in self.extents:
            own, node = self.statistics.tensors.get(name), self.producers.get(name)
            parts = [Range(own.whole.minimum, own.whole.maximum)] if own else map(self.extent, self._parts(name))
            self.extents[name] = union([*parts, *(Range(real, real) for real in covers(node))])
        return self.extents[name]

    def _parts(self, name: str) -> list[str]:
        node = self.producers.get(name)
        op = op_of(node) if node is not None else None
        parts = (*op.shared(node), *op.joined(node), *op.shown(node)) if op is not None and node is not None else ()
        kept = kept_of(self.values[name]) if not parts and name in self.values else None
        parts = parts if kept is None else (kept,)
        if not parts:
            raise StatisticsError(f"the statistics do not hold tensor '{name}' of the model")
        return [value.name or "" for value in parts]


def covers(node: ir.Node | None) -> tuple[float, ...]:
    """Reals that the grid of the node's output must hold beside what was observed."""
    op = op_of(node) if node is not None else None
    return op.covers(node) if op is not None and node is not None else ()


def _holds(grid: Grid, reals: Range) -> bool:
    """Whether both ends lie within a step of the grid."""
    return all(abs(grid.real(grid.code(end)) - end) <= grid.scale for end in (reals.lo, reals.hi))


def merged(parts: Iterable[Observed]) -> Observed:
    """All together; there must be one."""
    return reduce(Observed.merged, parts)


def union(parts: Iterable[Range]) -> Range:
    """All together; there must be one."""
    return reduce(Range.union, parts)


@dataclass
class Grouping:
    """Joins the tensors of integer fused nodes into groups.

    pinned: tensor whose grid the arithmetic sets -> that grid; wanted: tensor -> the element type its writer is bound
    to.
    """

    nodes: Sequence[FusedNode]
    observations: Observations
    pinned: Mapping[str, Grid]
    wanted: Mapping[str, ElementType]
    groups: Groups = field(default_factory=Groups)
    values: dict[str, ir.Value] = field(default_factory=dict)
    writers: dict[ir.Node, list[str]] = field(default_factory=dict)

    def run(self, state: Mapping[str, str]) -> Groups:
        """state: output of the model -> the input that it is next time."""
        for fused in self.nodes:
            self.writers[fused.node] = [value.name or "" for value in fused.outputs]
            for value in (*fused.inputs, *fused.outputs):
                self.values[value.name or ""] = value
                self.groups.root(value.name or "")
        for fused in self.nodes:
            for value in integer_op(fused).shared(fused.node):
                for output in (item for item in fused.outputs if item.dtype == value.dtype):
                    self._share(value.name or "", output.name or "")
        for fused in self.nodes:
            for value in integer_op(fused).joined(fused.node):
                self._join(fused, value)
        for made, taken in state.items():
            self._share(taken, made)
        return self.groups

    def _share(self, name: str, output: str) -> None:
        """Put an output into its input's group, unless a fixed grid there lacks what it holds: a border of -1, say."""
        fixed = self.pinned.get(self.groups.root(name))  # whose tensor is made of no other, so it owns the group
        if fixed is None or _holds(fixed, self.observations.extent(output)):
            self.groups.join(name, output)

    def _join(self, fused: FusedNode, value: ir.Value) -> None:
        """Put one joined input into the output's group where it loses at most a bit, or where nobody else reads it."""
        name, output = value.name or "", fused.output.name or ""
        members = self.groups.members()
        mine, theirs = members[self.groups.root(name)], members[self.groups.root(output)]
        both = (*mine, *theirs)
        bound = {self.wanted[member] for member in both if member in self.wanted}
        if self.groups.root(name) == self.groups.root(output) or self.pinned.keys() & {*both} or len(bound) > 1:
            return
        own = union(self.observations.extent(member) for member in mine)
        total = own.union(union(self.observations.extent(member) for member in theirs))
        if total.width <= ROOM * own.width or self._leads_only_to(fused.node, mine):
            self.groups.join(name, output)

    def _leads_only_to(self, node: ir.Node, members: list[str]) -> bool:
        """Whether nothing but `node`, and movers inside the group, reads any tensor of the group."""
        for member in members:
            value = self.values[member]
            if value.is_graph_output() or value.is_graph_input():
                return False
            if any(use.node is not node and not self._inside(use.node, members) for use in value.uses()):
                return False
        return True

    def _inside(self, node: ir.Node, members: list[str]) -> bool:
        return any(name in members for name in self.writers.get(node, ()))
