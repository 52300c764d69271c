"""Which tensors share one grid, and what grid each has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from axbuild.toolchain.ops.base import Grid, Site
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.ops.sites import sites
from axbuild.toolchain.quant.scales import Range

ROOM = 2.0
"""A joined input takes the output's grid while that is at most so many times as wide as its own: one bit lost"""


@dataclass
class Groups:
    """Union-find over names of tensors; the owner of a group is its first tensor in graph order that has a range."""

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


@dataclass(frozen=True)
class Scheme:
    """grids: of every graph input and every site's output, by name; owners: tensor -> the one whose range decides."""

    sites: tuple[Site, ...]
    grids: Mapping[str, Grid]
    owners: Mapping[str, str]


def measured(graph: ir.Graph) -> tuple[str, ...]:
    """Tensors whose values decide a grid, in graph order; the range of all others follows from theirs."""
    inputs = [value.name or "" for value in graph.inputs]
    return (*inputs, *(site.output.name or "" for site in sites(graph) if not _derived(site)))


def _derived(site: Site) -> bool:
    op, node = op_of(site.node), site.node
    return bool(op.shared(node) or op.joined(node)) or op.fixed(node) is not None


def choose(graph: ir.Graph, ranges: Mapping[str, Range], method: Callable[[Range], Grid]) -> Scheme:
    """The scheme of a graph; ranges: of the tensors that `measured` names."""
    found = tuple(sites(graph))
    known = _all_ranges(graph, found, ranges)
    fixed = {site.output.name or "": grid for site in found if (grid := op_of(site.node).fixed(site.node)) is not None}
    values = {value.name or "": value for value in (*graph.inputs, *(site.output for site in found))}
    context = _Context(fixed, values, {site.node: site.output.name or "" for site in found})
    groups = Groups()
    for name in known:
        groups.root(name)
    for site in found:
        for value in op_of(site.node).shared(site.node):
            groups.join(value.name or "", site.output.name or "")
    for site in found:
        for value in op_of(site.node).joined(site.node):
            _join(groups, site, value, known, context)
    return _settle(found, groups, known, fixed, method)


def _all_ranges(graph: ir.Graph, found: tuple[Site, ...], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The range of every tensor that has codes: measured, fixed, or of what it is made of."""
    known = {value.name or "": ranges[value.name or ""] for value in graph.inputs}
    for site in found:
        op, name = op_of(site.node), site.output.name or ""
        grid, parts = op.fixed(site.node), (*op.shared(site.node), *op.joined(site.node))
        if grid is not None:
            known[name] = Range.of(grid)
        elif parts:
            known[name] = _union([known[value.name or ""] for value in parts])
            for real in op.covers(site.node):
                known[name] = known[name].union(Range(real, real))
        else:
            known[name] = ranges[name]
    return known


def _union(parts: list[Range]) -> Range:
    total = parts[0]
    for part in parts[1:]:
        total = total.union(part)
    return total


def _join(groups: Groups, site: Site, value: ir.Value, known: dict[str, Range], context: _Context) -> None:
    """Put one joined input into the output's group where it loses at most a bit, or where nobody else reads it."""
    name, output = value.name or "", site.output.name or ""
    members = groups.members()
    mine, theirs = members[groups.root(name)], members[groups.root(output)]
    if groups.root(name) == groups.root(output) or any(member in context.fixed for member in (*mine, *theirs)):
        return
    own = _union([known[member] for member in mine])
    both = own.union(_union([known[member] for member in theirs]))
    if both.width <= ROOM * own.width or context.leads_only_to(site.node, mine):
        groups.join(name, output)


@dataclass(frozen=True)
class _Context:
    """fixed: grids that the arithmetic sets; values: by name; heads: first node of a site -> the site's output."""

    fixed: dict[str, Grid]
    values: dict[str, ir.Value]
    heads: dict[ir.Node, str]

    def leads_only_to(self, node: ir.Node, members: list[str]) -> bool:
        """Whether nothing but `node`, and movers inside the group, reads any tensor of the group."""
        for member in members:
            value = self.values[member]
            if value.is_graph_output() or value.is_graph_input():
                return False
            if any(use.node is not node and self.heads.get(use.node) not in members for use in value.uses()):
                return False
        return True


def _settle(
    found: tuple[Site, ...],
    groups: Groups,
    known: dict[str, Range],
    fixed: dict[str, Grid],
    method: Callable[[Range], Grid],
) -> Scheme:
    grids: dict[str, Grid] = {}
    owners: dict[str, str] = {}
    for members in groups.members().values():
        decided = [member for member in members if member in fixed]
        grid = fixed[decided[0]] if decided else method(_union([known[member] for member in members]))
        for member in members:
            grids[member], owners[member] = grid, decided[0] if decided else members[0]
    return Scheme(found, grids, owners)
