"""What a layer's own error is made of: the rounding of what it reads, of its weight, and of what it writes.

The layer's float operators, on the values on their grids, are what the layer would make with an exact weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from axbuild.toolchain.graph import Array, Names
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.error_sums import rounded
from axbuild.toolchain.precision.side import Side, Tensors


@dataclass(frozen=True)
class ErrorParts:
    """Parts of a layer's error, from 0 to 1; together about 1, since they are nearly independent."""

    inputs: float
    weight: float
    output: float


class PartsMeter:
    """Takes the errors of layers apart, sample by sample. layers: as `layers_of` gives them; a layer that reads no
    codes, or stays a float operator, has no parts."""

    def __init__(self, models: ExposedModels, layers: Mapping[str, tuple[str, ...]]) -> None:
        self.places = models.places
        self.layers = {site: names[0] for site, names in layers.items() if self._is_coded(site, names[0])}
        self.inputs: dict[tuple[str, Grid | None], str] = {}
        """float tensor, and the grid that it is read on -> input of the model that takes it"""
        content = self._model(models.float).SerializeToString()
        models.expose(tensor for tensor, _ in self.inputs)
        self.side = Side("float", content, "basic", models.folder) if self.layers else None
        self.sums = {site: np.zeros(4) for site in self.layers}

    def _is_coded(self, site: str, name: str) -> bool:
        edges = [self.places.edges[read] for read in self.places.reads[site]]
        return isinstance(self.places.edges[name], Grid) and any(isinstance(edge, Grid) for edge in edges)

    def add(self, exact: Tensors, alone: Tensors) -> None:
        """exact: the float model's values of a sample; alone: each layer's own, by tensors of the quantised model."""
        if self.side is None:
            return
        feed = {
            name: rounded(exact[tensor], grid) if grid else exact[tensor]
            for (tensor, grid), name in self.inputs.items()
        }
        outputs = {site: self.places.tensors[name] for site, name in self.layers.items()}
        found = self.side.run(list(dict.fromkeys(outputs.values())), feed)
        for site, name in self.layers.items():
            grid = self.places.edges[name]
            assert isinstance(grid, Grid)
            values, expected = found[outputs[site]], exact[outputs[site]]
            by_input, by_output = _energy(values - expected), _energy(rounded(values, grid) - values)
            by_weight = _energy(alone[name] - values) - by_output if site in self.places.weighted else 0.0
            whole = _energy(alone[name] - expected)
            self.sums[site] += (by_input, max(0.0, by_weight), by_output, whole)

    def parts(self) -> dict[str, ErrorParts]:
        return {
            site: ErrorParts(*(min(1.0, float(part / whole)) if whole else 0.0 for part in parts))
            for site, (*parts, whole) in self.sums.items()
        }

    def _model(self, model: onnx.ModelProto) -> onnx.ModelProto:
        graph = model.graph
        infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
        constants = {tensor.name: tensor for tensor in graph.initializer}
        names = Names([*infos, *constants])
        homes = {node: site for site in self.layers for node in self.places.known[site].nodes}
        makers = {name: homes.get(node.name) for node in graph.node for name in node.output}
        nodes = []
        for node in graph.node:
            if (site := homes.get(node.name)) is not None:
                own = onnx.NodeProto()
                own.CopyFrom(node)
                for index, name in enumerate(node.input):
                    if name and name not in constants and makers.get(name) != site:
                        own.input[index] = self._input(site, name, names)
                nodes.append(own)
        ports = []
        for (tensor, _), name in self.inputs.items():
            port = onnx.ValueInfoProto()
            port.CopyFrom(infos[tensor])
            port.name = name
            ports.append(port)
        read = {name for node in nodes for name in node.input}
        kept = [tensor for name, tensor in constants.items() if name in read]
        wanted = dict.fromkeys(self.places.tensors[name] for name in self.layers.values())
        proto = helper.make_graph(nodes, "parts", ports, [infos[name] for name in wanted], kept)
        whole = helper.make_model(proto, opset_imports=model.opset_import, functions=model.functions)
        whole.ir_version = model.ir_version
        return whole

    def _input(self, site: str, tensor: str, names: Names) -> str:
        """The model's input that has a float tensor as the site reads it."""
        edges = (self.places.edges[name] for name in self.places.reads[site] if self.places.tensors.get(name) == tensor)
        grid = next((edge for edge in edges if isinstance(edge, Grid)), None)
        if (tensor, grid) not in self.inputs:
            self.inputs[tensor, grid] = names.free(f"{tensor}/read")
        return self.inputs[tensor, grid]


def _energy(values: Array) -> float:
    flat = values.astype(np.float64).reshape(-1)
    return float(np.dot(flat, flat))
