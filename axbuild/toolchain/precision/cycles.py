"""What a quantised model costs on a chip by its kinds' own cost: to compare precisions by; it is no schedule."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import onnx_ir as ir

from axbuild.toolchain.graph import Shape, is_static, shape_of
from axbuild.toolchain.kinds.base import Kind, whole_box
from axbuild.toolchain.kinds.codes import Edge, type_of
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.ops.base import Between, Ref
from axbuild.toolchain.quant.calibrate import CalibrateParams, Unbaked, means_for, site_of, unbaked
from axbuild.toolchain.quant.emit import conversion
from axbuild.toolchain.quant.forms import Formed
from axbuild.toolchain.quant.lowered import LoweredNode, lowered_node
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.tensors import plain_type


class ModelCycles:
    """Of one graph, calibrated in many ways. A fused node's cycles follow from its element types, so that what was seen
    before is neither baked nor lowered again."""

    def __init__(self, graph: ir.Graph, statistics: Statistics, chip: Chip) -> None:
        self.graph, self.statistics, self.chip = graph, statistics, chip
        self.shapes = {value.name or "": shape_of(value) for value in _values(graph) if is_static(value)}
        self.known: dict[Hashable, float] = {}

    def of(self, params: CalibrateParams) -> float:
        """Of every fused node, and of every conversion between them."""
        made = unbaked(self.graph, self.statistics, params)
        parts = (self._part(item, made, params) for item in made.found)
        return sum(parts) + sum(self._border(*border) for border in self._borders(made))

    def _part(self, item: Formed, made: Unbaked, params: CalibrateParams) -> float:
        name = item.fused.name
        types = [_types(edges[name]) for edges in (made.edges.reads, made.edges.writes)]
        key = (name, item.form, *types, made.asked[item.fused.node].weight.name)
        if key not in self.known:
            means = means_for(self.graph, self.statistics, params)
            part = lowered_node(item.fused, site_of(item, made, means, params.baking))
            self.known[key] = part_cycles(part, self.chip)
        return self.known[key]

    def _borders(self, made: Unbaked) -> Iterator[tuple[str, Edge, Edge]]:
        """(tensor, as it stands, as it is read) wherever these are two: one conversion serves all readers."""
        standing: dict[str, Edge] = {value.name or "": plain_type(value) for value in self.graph.inputs}
        wanted: dict[tuple[str, Edge], None] = {}
        for item in made.found:
            standing |= made.edges.writes[item.fused.name]
            wanted |= dict.fromkeys(made.edges.reads[item.fused.name].items())
        wanted |= {(value.name or "", plain_type(value)): None for value in self.graph.outputs}
        for name, edge in wanted:
            if name in self.shapes and standing[name] != edge:
                yield name, standing[name], edge

    def _border(self, name: str, source: Edge, target: Edge) -> float:
        key = (name, type_of(source).name, type_of(target).name)
        if key not in self.known:
            kind, _ = conversion(source, target, name)
            self.known[key] = _kind_cycles(kind, self.shapes[name], [self.shapes[name]], self.chip)
        return self.known[key]


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph:
        yield from node.outputs


def _types(edges: Mapping[str, Edge]) -> tuple[tuple[str, str], ...]:
    return tuple((name, type_of(edge).name) for name, edge in edges.items())


def part_cycles(part: LoweredNode, chip: Chip) -> float:
    """Of one fused node, its constants' way from the DDR included; 0 where it stays a float operator."""
    shapes: dict[Ref, Shape] = {}
    for value in (*part.fused.inputs, *part.fused.inner, *part.fused.outputs):
        if value.name and is_static(value):
            shapes[value.name] = shape_of(value)
    total = 0.0
    for step in part.steps:
        total += _kind_cycles(step.kind, step.shape, [shapes[ref] for ref in step.inputs], chip)
        if isinstance(step.output, Between):
            shapes[step.output] = step.shape
    return total


def _kind_cycles(kind: Kind, shape: Shape, inputs: list[Shape], chip: Chip) -> float:
    """inputs: their shapes."""
    if kind.view(*inputs):
        return 0.0
    held = sum(array.nbytes for array in kind.constants().values())
    busy = kind.job_cycles(whole_box(shape), chip.rates, *inputs)
    return chip.op_overhead + max(busy, held / chip.ddr_bytes)
