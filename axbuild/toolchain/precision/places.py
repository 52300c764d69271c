"""Where the tensors of a quantised model come from: fused nodes, float tensors, the user's nodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from axbuild.toolchain.graph import ORIGINS
from axbuild.toolchain.kinds.base import DOMAIN, Kind
from axbuild.toolchain.kinds.codes import FP32, Edge, Grid
from axbuild.toolchain.quant.tensors import NODES, SITE, TENSOR
from axbuild.toolchain.quant.verify import verify


@dataclass(frozen=True)
class Origin:
    """A fused node. name: of its head in the optimised model; nodes: of all its nodes there; origins: of the user's."""

    name: str
    nodes: tuple[str, ...]
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Places:
    """sites: node of the quantised model -> its fused node, "" at borders; writers: tensor -> the same of its writer;
    tensors: tensor -> the float tensor that it stands for; known: fused node -> what it is; passed: what a fused node
    writes for others, by its name there; movers: fused nodes that round nothing of their own; weighted: those with a
    weight of 8 bits; reads: fused node -> what it reads of others, by names of the quantised model."""

    edges: Mapping[str, Edge]
    sites: Mapping[str, str]
    writers: Mapping[str, str]
    tensors: Mapping[str, str]
    known: Mapping[str, Origin]
    passed: Mapping[str, tuple[str, ...]]
    movers: frozenset[str]
    weighted: frozenset[str]
    reads: Mapping[str, tuple[str, ...]]

    def measured(self, model: onnx.ModelProto, static: Iterable[str]) -> list[str]:
        """Tensors worth comparing, in the order of the graph: all that are codes, and what fused nodes write as floats;
        static: float tensors whose shape does not depend on data."""
        fixed, order = set(static), [name for node in model.graph.node for name in node.output]
        return [name for name in order if self.tensors.get(name) in fixed and self._is_measured(name)]

    def _is_measured(self, name: str) -> bool:
        edge = self.edges[name]
        return isinstance(edge, Grid) or (edge is FP32 and bool(self.writers.get(name)))

    def readers(self, name: str) -> list[str]:
        """Fused nodes that compute with a tensor, be it behind others that only move it."""
        found: dict[str, None] = {}
        waiting, seen = [name], set()
        while waiting:
            tensor = self.tensors.get(waiting.pop(0), "")
            for site, read in self.reads.items():
                if site and site not in seen and any(self.tensors.get(one) == tensor for one in read):
                    seen.add(site)
                    if site in self.movers:
                        waiting += self.passed[site]
                    else:
                        found[site] = None
        return list(found)


def places_of(model: onnx.ModelProto) -> Places:
    """Raises GraphFault where the quantised model is not sound."""
    graph = model.graph
    notes = {node.name: notes_of(node) for node in graph.node}
    infos = [*graph.input, *graph.value_info, *graph.output]
    tensors = {info.name: found[TENSOR] for info in infos if (found := notes_of(info)).get(TENSOR)}
    sites = {name: found.get(SITE, "") for name, found in notes.items()}
    known = {found[SITE]: _origin(found) for found in notes.values() if found.get(SITE)}
    writers = {name: sites[node.name] for node in graph.node for name in node.output}
    passed: dict[str, tuple[str, ...]] = dict.fromkeys(known, ())
    for name in _read_elsewhere(model, sites, writers):
        passed[writers[name]] += (name,)
    verified = verify(model)
    rounding = {writers[name] for name, (kind, _) in verified.kinds.items() if not _moves(kind)}
    floats = {sites[node.name] for node in graph.node if node.domain != DOMAIN}
    movers = frozenset(known.keys() - rounding - floats)
    weighted = frozenset(writers[name] for name, (kind, _) in verified.kinds.items() if _has_narrow_weight(kind))
    reads = _read_of_others(model, sites, writers, verified.edges)
    return Places(verified.edges, sites, writers, tensors, known, passed, movers, weighted, reads)


def _read_elsewhere(model: onnx.ModelProto, sites: Mapping[str, str], writers: Mapping[str, str]) -> list[str]:
    """What fused nodes write and others, or the model's user, read, in the order of the graph."""
    read = {name for node in model.graph.node for name in node.input if writers.get(name) != sites[node.name]}
    read |= {info.name for info in model.graph.output}
    return [name for node in model.graph.node if sites[node.name] for name in node.output if name in read]


def _read_of_others(
    model: onnx.ModelProto, sites: Mapping[str, str], writers: Mapping[str, str], edges: Mapping[str, Edge]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for node in model.graph.node:
        own = found.setdefault(sites[node.name], {})
        own.update((name, None) for name in node.input if name in edges and writers.get(name) != sites[node.name])
    return {site: tuple(names) for site, names in found.items()}


def _has_narrow_weight(kind: Kind) -> bool:
    weight = kind.constants().get("weight")
    return weight is not None and weight.dtype.itemsize == 1


def _moves(kind: Kind) -> bool:
    return not isinstance(kind.writes, Grid)


def _origin(notes: Mapping[str, str]) -> Origin:
    return Origin(notes[SITE], tuple(json.loads(notes[NODES])), tuple(json.loads(notes[ORIGINS])))


def notes_of(proto: onnx.NodeProto | onnx.ValueInfoProto) -> dict[str, str]:
    """The metadata of a node or a tensor."""
    return {entry.key: entry.value for entry in proto.metadata_props}
