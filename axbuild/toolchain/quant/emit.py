"""The quantised model as ONNX: float at its borders, codes and exact bodies between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from axbuild.toolchain.graph import Shape, shape_of
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.registry import Written, model_of, write_node
from axbuild.toolchain.ops.base import Grid, Lowered, Site

ORIGINS = "axbuild.origins"
"""metadata of a node: names of the float model's nodes it stands for, as a JSON list"""
SCALE, ZERO = "axbuild.scale", "axbuild.zero"
"""metadata of a tensor of codes: its grid; the scale is the shortest decimal of the float32 value as float64"""


@dataclass
class Emission:
    """Nodes in order, and the names under which the codes of float tensors stand."""

    grids: Mapping[str, Grid]
    taken: set[str]
    written: list[Written] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    infos: list[onnx.ValueInfoProto] = field(default_factory=list)

    def free(self, wanted: str) -> str:
        """`wanted`, with a number where a node or tensor has that name already."""
        name, count = wanted, 1
        while name in self.taken:
            name, count = f"{wanted}_{count}", count + 1
        self.taken.add(name)
        return name

    def add(self, kind: Kind, inputs: list[str], output: str, name: str, origins: list[str]) -> None:
        written = self.renamed(write_node(kind, inputs, [output], name))
        if origins:
            entry = written.node.metadata_props.add()
            entry.key, entry.value = ORIGINS, json.dumps(origins)
        self.written.append(written)

    def renamed(self, written: Written) -> Written:
        """The same with other names for constants whose names a tensor has."""
        names = {name: self.free(name) for name in written.constants}
        for index, name in enumerate(written.node.input):
            written.node.input[index] = names.get(name, name)
        constants = {names[name]: array for name, array in written.constants.items()}
        return Written(written.node, constants, written.function)

    def describe(self, name: str, shape: Shape, grid: Grid | None) -> None:
        info = helper.make_tensor_value_info(name, TensorProto.UINT8, shape)
        if grid is not None:
            for key, value in ((SCALE, repr(grid.scale)), (ZERO, str(grid.zero))):
                entry = info.metadata_props.add()
                entry.key, entry.value = key, value
        self.infos.append(info)


def model_with(graph: ir.Graph, lowered: list[tuple[Site, Lowered]], grids: Mapping[str, Grid]) -> onnx.ModelProto:
    """The quantised model: inputs and outputs are the float model's, by name, order and shape, float32."""
    borders = {value.name or "" for value in (*graph.inputs, *graph.outputs)}
    tensors = {step.output for _, part in lowered for step in part.steps}
    nodes = {step.name for _, part in lowered for step in part.steps}
    emission = Emission(grids, borders | tensors | nodes)
    for value in graph.inputs:
        _enter(emission, value)
    for site, part in lowered:
        _place(emission, site, part, borders)
    for value in graph.outputs:
        _leave(emission, value)
    inputs, outputs = ([_float_info(value) for value in values] for values in (graph.inputs, graph.outputs))
    return model_of(emission.written, inputs, outputs, graph.name or "quantised", emission.infos)


def _enter(emission: Emission, value: ir.Value) -> None:
    """float input -> codes, where anybody reads it"""
    name = value.name or ""
    if not value.uses() and not value.is_graph_output():
        return
    grid, codes = emission.grids[name], emission.free(f"{name}/codes")
    emission.codes[name] = codes
    emission.add(Quantize(grid.scale, grid.zero), [name], codes, emission.free(f"{name}/quantize"), [])
    emission.describe(codes, shape_of(value), grid)


def _place(emission: Emission, site: Site, part: Lowered, borders: set[str]) -> None:
    origins = list(_origins(site))
    for step in part.steps:
        codes = emission.free(f"{step.output}/codes") if step.output in borders else step.output
        emission.codes[step.output] = codes
        inputs = [emission.codes[name] for name in step.inputs]
        emission.add(step.kind, inputs, codes, step.name, origins)
        emission.describe(codes, step.shape, emission.grids.get(step.output))


def _leave(emission: Emission, value: ir.Value) -> None:
    """codes -> float output"""
    name = value.name or ""
    grid = emission.grids[name]
    kind = Dequantize(grid.scale, grid.zero)
    emission.add(kind, [emission.codes[name]], name, emission.free(f"{name}/dequantize"), [])


def _origins(site: Site) -> Iterator[str]:
    """Names of the user's nodes: what the front end fused carries its own list."""
    for node in site.nodes:
        stored = node.metadata_props.get(ORIGINS)
        yield from json.loads(stored) if stored else [node.name or ""]


def _float_info(value: ir.Value) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(value.name or "", TensorProto.FLOAT, shape_of(value))
