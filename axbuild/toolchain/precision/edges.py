"""Every quantised edge beside the float tensor that it stands for: as the whole model gives it, and its operator alone.

Three runs of onnxruntime a sample, each with all edges exposed: the float model, the quantised one, and the quantised
one taken apart, where every fused node reads the float model's values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import onnx

from axbuild.toolchain.graph import ORIGINS, model_file
from axbuild.toolchain.kinds.codes import Edge, Grid, type_of
from axbuild.toolchain.precision.alone import each_alone
from axbuild.toolchain.precision.error_sums import Clipped, ErrorMeter, reals
from axbuild.toolchain.precision.measured_edges import MeasuredEdge
from axbuild.toolchain.precision.places import Origin, Places, notes_of, places_of
from axbuild.toolchain.precision.side import Side, Tensors


class ExposedModels:
    """The float model and the quantised one, which give all that is compared beside their outputs."""

    def __init__(self, model: Path, quantised: onnx.ModelProto) -> None:
        file = model_file(model)
        self.folder = file.parent
        self.float = onnx.load(file, load_external_data=False)
        self.coded = quantised
        self.places = places_of(self.coded)
        self.infos = {info.name: info for info in _infos(self.float)}
        self.inputs = [info.name for info in self.float.graph.input]
        self.outputs = [info.name for info in self.float.graph.output]
        self.edges = self.places.measured(self.coded, (name for name, info in self.infos.items() if _is_static(info)))
        self.alone = each_alone(self.coded, self.places, self.edges)
        taken = [self.places.tensors[name] for name in self.edges]
        self.tensors = list(dict.fromkeys([*taken, *self.alone.inputs.values()]))
        content = self.alone.model.SerializeToString()
        self.alone_side = Side("quantised", content, "off") if self.edges else None

    @cached_property
    def float_side(self) -> Side:
        return Side("float", _exposing(self.float, self.tensors), "basic", self.folder)

    def expose(self, tensors: Iterable[str]) -> None:
        """Give these float tensors beside those which edges stand for: to be said before the first run."""
        self.tensors = list(dict.fromkeys([*self.tensors, *tensors]))

    @cached_property
    def coded_side(self) -> Side:
        return Side("quantised", _exposing(self.coded, self.edges), "off")

    def float_values(self, feed: Tensors) -> Tensors:
        """The inputs, the outputs, and every tensor that an edge stands for, by name."""
        made = [name for name in self.tensors if name not in self.inputs]
        return self.float_side.run(list(dict.fromkeys([*self.outputs, *made])), feed) | dict(feed)

    def coded_values(self, feed: Tensors) -> Tensors:
        """Every edge by name, as codes."""
        return self.coded_side.run(self.edges, feed)

    def alone_values(self, exact: Tensors) -> Tensors:
        """Every edge as its own fused node makes it of the float model's values, which `float_values` gives."""
        feed = {name: exact[tensor] for name, tensor in self.alone.inputs.items()}
        if self.alone_side is None:
            return {}
        found = self.alone_side.run([self.alone.outputs[name] for name in self.edges], feed)
        return {name: found[self.alone.outputs[name]] for name in self.edges}

    def alone_reals(self, exact: Tensors) -> Tensors:
        """What `alone_values` stands for."""
        return {name: reals(values, self.places.edges[name]) for name, values in self.alone_values(exact).items()}


class EdgeMeter:
    """Compares the edges of one sample after the other."""

    def __init__(self, models: ExposedModels) -> None:
        self.models = models
        self.samples = 0
        self.accumulated = {name: ErrorMeter() for name in models.edges}
        self.local = {name: ErrorMeter() for name in models.edges}
        self.clipped = {name: Clipped(edge) for name in models.edges if isinstance(edge := self._edge(name), Grid)}

    def _edge(self, name: str) -> Edge:
        return self.models.places.edges[name]

    def add(self, feed: Tensors) -> None:
        """feed: of one sample. No more than two of the three models' tensors are held at once."""
        exact = self.models.float_values(feed)
        self.begin(exact)
        self.compare(exact, self.models.coded_values(feed), self.accumulated)
        self.compare(exact, self.models.alone_values(exact), self.local)

    def begin(self, exact: Tensors) -> None:
        """One more sample, of which each of the meters to be filled is then shown what was made."""
        self.samples += 1
        for name, clipped in self.clipped.items():
            clipped.add(exact[self.models.places.tensors[name]])

    def compare(
        self,
        exact: Tensors,
        made: Tensors,
        meters: Mapping[str, ErrorMeter],
        edges: Mapping[str, Edge] | None = None,
    ) -> None:
        """meters: `accumulated` or `local`; edges: what `made` holds, None for what the quantised model has there."""
        held = self.models.places.edges if edges is None else edges
        for name, meter in meters.items():
            meter.add(exact[self.models.places.tensors[name]], made[name], held[name])

    def rows(self) -> list[MeasuredEdge]:
        places = self.models.places
        operators = {node.name: node.op_type for node in self.models.float.graph.node}
        return [self._row(name, places, operators) for name in self.models.edges]

    def _row(self, name: str, places: Places, operators: Mapping[str, str]) -> MeasuredEdge:
        tensor, edge = places.tensors[name], places.edges[name]
        site = places.known.get(places.writers[name], Origin("", (), ()))
        grid = (edge.scale, edge.zero) if isinstance(edge, Grid) else (0.0, 0)
        return MeasuredEdge(
            name,
            tensor,
            _names(self.models.infos[tensor]),
            site.name,
            tuple(operators[node] for node in site.nodes),
            site.origins,
            type_of(edge).name,
            *grid,
            self.accumulated[name].total(),
            self.local[name].total(),
            self.clipped[name].share if name in self.clipped else 0.0,
        )


def _infos(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    graph = model.graph
    return [*graph.input, *graph.value_info, *graph.output]


def _is_static(info: onnx.ValueInfoProto) -> bool:
    return all(dim.HasField("dim_value") for dim in info.type.tensor_type.shape.dim)


def _names(info: onnx.ValueInfoProto) -> tuple[str, ...]:
    """What the user's model called the tensor."""
    stored = notes_of(info).get(ORIGINS)
    return tuple(json.loads(stored)) if stored else (info.name,)


def _exposing(model: onnx.ModelProto, names: list[str]) -> bytes:
    """The model with these tensors as outputs too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {info.name: info for info in _infos(model)}
    present = {info.name for info in (*model.graph.input, *model.graph.output)}
    copy.graph.output.extend(known[name] for name in names if name not in present)
    content: bytes = copy.SerializeToString()
    return content
