"""Where a quantised model's error comes from: rounded values, and rounded weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from axbuild.toolchain.graph import is_static
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme


@dataclass(frozen=True)
class ErrorSource:
    """A source of error. tensors: the float tensors that are wrong by it; values: the heads of the fused nodes that
    must have their data in 16 bits to still it; weight: the head of the one whose weight is rounded, else ""."""

    tensors: tuple[str, ...]
    values: tuple[str, ...] = ()
    weight: str = ""


@dataclass(frozen=True)
class RoundedTensors:
    """sources, in the order of the graph; grids: float tensor -> the 8-bit grid that it is rounded to."""

    sources: tuple[ErrorSource, ...]
    grids: Mapping[str, Grid]


Site = tuple[FusedNode, SiteScheme]


def sources_of(graph: ir.Graph, scheme: Scheme) -> RoundedTensors:
    """Tensors of one grid are one source, and each weight of 8 bits and less is one."""
    sites = placed(graph, scheme)
    grids = {name: grid for name, grid in _written(graph, sites) if not grid.type.wide}
    groups: dict[str, list[str]] = {}
    for name in grids:
        groups.setdefault(scheme.owners.get(name, name), []).append(name)
    members: dict[str, set[str]] = {}
    for name, owner in scheme.owners.items():
        members.setdefault(owner, set()).add(name)
    found = [
        ErrorSource(tuple(names), _asking(sites, members.get(owner, set(names)))) for owner, names in groups.items()
    ]
    weights = [
        ErrorSource(tuple(value.name or "" for value in fused.outputs if value.name), (), fused.name)
        for fused, site in sites
        if site.weight is not None and not site.weight.type.wide
    ]
    return RoundedTensors((*found, *weights), grids)


def _written(graph: ir.Graph, sites: Sequence[Site]) -> Iterator[tuple[str, Grid]]:
    """Float tensors that are rounded where they come from: inputs of the model, and what is more than moved."""
    for value in graph.inputs:
        for _, site in sites:
            edge = site.reads.get(value.name or "")
            if isinstance(edge, Grid):
                yield value.name or "", edge
                break
    for fused, site in sites:
        for value in () if _moves(fused, site) else fused.outputs:
            edge = site.writes.get(value.name or "")
            if isinstance(edge, Grid) and is_static(value):
                yield value.name or "", edge


def _asking(sites: Sequence[Site], members: set[str]) -> tuple[str, ...]:
    """Who must read 16 bits so that the tensors have them; where nobody asks for codes, who writes them."""
    active = [(fused, site) for fused, site in sites if site.form is Form.INTEGER and not _moves(fused, site)]
    readers = [fused.name for fused, site in active if _codes(site.reads) & members]
    return tuple(readers or [fused.name for fused, site in active if _codes(site.writes) & members])


def _codes(edges: Mapping[str, object]) -> set[str]:
    return {name for name, edge in edges.items() if isinstance(edge, Grid)}


def _moves(fused: FusedNode, site: SiteScheme) -> bool:
    return site.form is Form.INTEGER and integer_op(fused).only_moves(fused.node)
