"""How much of a layer's own error comes from its rounded weight, and how much from the values it reads and writes.

The layer's float operators, on the values on their grids, are what the layer would make with an exact weight.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper

from axbuild.toolchain.graph import Array, Names
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.precision.edges import ExposedModels
from axbuild.toolchain.precision.error_sums import rounded
from axbuild.toolchain.precision.side import Side, Tensors


class WeightErrors:
    """Of the layers that have a weight of 8 bits. layers: as `layers_of` gives them."""

    def __init__(self, models: ExposedModels, layers: Mapping[str, tuple[str, ...]]) -> None:
        self.places = models.places
        self.layers = {site: names[0] for site, names in layers.items() if site in self.places.weighted}
        self.inputs: dict[str, tuple[str, Grid]] = {}
        """input of the model -> the float tensor that it takes, and the grid that this is on"""
        content = self._model(models.float).SerializeToString()
        self.side = Side("float", content, "basic", models.folder) if self.layers else None
        self.sums = {site: np.zeros(2) for site in self.layers}

    def add(self, exact: Tensors, alone: Tensors) -> None:
        """exact: the float model's values of a sample; alone: each layer's own, by tensors of the quantised model."""
        if self.side is None:
            return
        feed = {name: rounded(exact[tensor], grid) for name, (tensor, grid) in self.inputs.items()}
        outputs = {site: self.places.tensors[name] for site, name in self.layers.items()}
        found = self.side.run(list(dict.fromkeys(outputs.values())), feed)
        for site, name in self.layers.items():
            values, edge = found[outputs[site]], self.places.edges[name]
            written = rounded(values, edge) if isinstance(edge, Grid) else values
            by_weight = _energy(alone[name] - values) - _energy(written - values)
            self.sums[site] += (max(0.0, by_weight), _energy(alone[name] - exact[outputs[site]]))

    def shares(self) -> dict[str, float]:
        """Layer -> the weight's part of its error, from 0 to 1."""
        return {site: min(1.0, float(part / whole)) if whole else 0.0 for site, (part, whole) in self.sums.items()}

    def _model(self, model: onnx.ModelProto) -> onnx.ModelProto:
        graph = model.graph
        infos = {info.name: info for info in (*graph.input, *graph.value_info, *graph.output)}
        names = Names([*infos, *(tensor.name for tensor in graph.initializer)])
        homes = {node: site for site in self.layers for node in self.places.known[site].nodes}
        nodes, ports = [], []
        for node in graph.node:
            if (site := homes.get(node.name)) is not None:
                own = onnx.NodeProto()
                own.CopyFrom(node)
                renamed = self._renamed(site, names)
                own.input[:] = [renamed.get(name, name) for name in node.input]
                nodes.append(own)
        for name, (tensor, _) in self.inputs.items():
            port = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            port.type.tensor_type.shape.CopyFrom(infos[tensor].type.tensor_type.shape)
            ports.append(port)
        read = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        wanted = dict.fromkeys(self.places.tensors[name] for name in self.layers.values())
        made = helper.make_graph(nodes, "weights", ports, [infos[name] for name in wanted], kept)
        whole = helper.make_model(made, opset_imports=model.opset_import, functions=model.functions)
        whole.ir_version = model.ir_version
        return whole

    def _renamed(self, site: str, names: Names) -> dict[str, str]:
        """Float tensor -> the model's input, of what the site reads of others."""
        known = {place: name for name, place in self.inputs.items()}
        found: dict[str, str] = {}
        for name in self.places.reads[site]:
            edge = self.places.edges[name]
            if isinstance(edge, Grid):
                place = (self.places.tensors[name], edge)
                if place not in known:
                    known[place] = names.free(f"{place[0]}/{edge.type}")
                    self.inputs[known[place]] = place
                found[place[0]] = known[place]
        return found


def _energy(values: Array) -> float:
    flat = values.astype(np.float64).reshape(-1)
    return float(np.dot(flat, flat))
