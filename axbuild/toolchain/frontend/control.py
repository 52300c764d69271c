"""Control flow whose course is constant -> the nodes that run.

    If(true; a, b)              -> a                                  by constant folding
    Loop(n, true, s; body)      -> body, n times, its counter constant
    Scan(s, x; body)            -> body, once for each slice of x

A Loop's condition may hand on the one before it, or follow from its counter and constants; one that follows from data
decides while the model runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from axbuild.errors import counted as counted_of
from axbuild.toolchain.frontend.light import LightModel, array_of
from axbuild.toolchain.frontend.nested import all_graphs, all_nodes, graphs_of, is_control_flow
from axbuild.toolchain.frontend.rounds import DecidedLaterError, rounds_of, single
from axbuild.toolchain.frontend.shapes import static_shapes
from axbuild.toolchain.frontend.support import UnsupportedModelError, counted
from axbuild.toolchain.frontend.version import MAX_NODES
from axbuild.toolchain.graph import ORIGINS, Array, Names, Shape

MAX_ROUNDS = 1024
"""how often the body of one Loop or Scan is written down; longer sequences are no graph for an NPU"""


def control_flow(model: ModelProto) -> list[NodeProto]:
    return [node for node in model.graph.node if is_control_flow(node)]


def undone(model: ModelProto) -> list[NodeProto]:
    """Control flow, and what makes or reads sequences: folding takes both away where their course is constant."""
    return [node for node in model.graph.node if is_control_flow(node) or "Sequence" in node.op_type]


def refuse(model: LightModel) -> UnsupportedModelError:
    """The error for the control flow that is left."""
    opening = _Opening(model)
    found: dict[str, list[NodeProto]] = {}
    for node in control_flow(model.proto):
        found.setdefault(opening.why_not(node), []).append(node)
    return UnsupportedModelError(
        "; ".join(f"{counted(nodes)} {reason}" for reason, nodes in found.items()),
        hint="freeze what decides it with `fix`, or cut the model with `outputs`, on the float_model",
    )


def own_names(model: ModelProto) -> None:
    """Give every tensor and node inside control flow a name that nothing else has, in place.

    What is opened then keeps its names.
    """
    tensors = Names(_names(model.graph))
    nodes = Names(node.name for node in model.graph.node)
    for node in control_flow(model):
        for graph in graphs_of(node):
            _rename_graph(graph, {}, tensors, nodes)


def own_nodes_again(model: ModelProto) -> None:
    """Nodes that folding took out of a branch get the names they had in it."""
    for node in model.graph.node:
        if name := _take(node, _NAME_INSIDE):
            node.name = name


_NAME_INSIDE = "axbuild.inside"
"""metadata of a node within control flow: its name, which nothing else has"""


def _take(node: NodeProto, key: str) -> str:
    """The value of an entry of metadata, which goes."""
    for index, entry in enumerate(node.metadata_props):
        if entry.key == key:
            value = str(entry.value)
            del node.metadata_props[index]
            return value
    return ""


def _names(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (name for node in graph.node for name in node.output)


def _rename_graph(graph: GraphProto, outer: dict[str, str], tensors: Names, nodes: Names) -> None:
    """New names for what the graph and those inside it define, and the new ones of what they read from outside."""
    known = outer | {name: tensors.free(name) for name in _names(graph) if name}
    for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        item.name = known.get(item.name, item.name)
    for node in graph.node:
        user = node.name
        node.name = nodes.free(user or node.op_type)
        _take(node, _NAME_INSIDE)
        node.metadata_props.add(key=_NAME_INSIDE, value=node.name)
        if user and user != node.name and all(entry.key != ORIGINS for entry in node.metadata_props):
            node.metadata_props.add(key=ORIGINS, value=json.dumps([user]))
        _rename_ends(node, known)
        for inner in graphs_of(node):
            _rename_graph(inner, known, tensors, nodes)


def _rename_ends(node: NodeProto, known: dict[str, str]) -> None:
    for names in (node.input, node.output):
        new = [known.get(name, name) for name in names]
        del names[:]
        names.extend(new)


def opened(model: LightModel) -> bool:
    """Write out every Loop and Scan whose course is known, in place; whether there was one."""
    opening = _Opening(model)
    for node in control_flow(model.proto):
        opening.nodes[node.name] = opening.written_out(node)
    graph = model.proto.graph
    if not any(opening.nodes.values()):
        return False
    kept = [new for node in graph.node for new in opening.nodes.get(node.name) or [node]]
    fresh = GraphProto(node=kept)
    del graph.node[:]
    graph.node.extend(fresh.node)
    graph.initializer.extend(opening.initializers)
    return True


@dataclass
class _Opening:
    """One pass over a model. nodes: control-flow node -> what stands for it, None where its course is not known."""

    model: LightModel
    nodes: dict[str, list[NodeProto] | None] = field(default_factory=dict)
    initializers: list[TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.model.proto.graph
        graphs = list(all_graphs(self.model.proto))
        self.names = Names(name for graph in graphs for name in _names(graph))
        self.node_names = Names(node.name for graph in graphs for node in graph.node)
        self.shapes = static_shapes(self.model)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.read = {name for node in all_nodes(self.model.proto) for name in node.input if name}
        self.read |= {value.name for inner in graphs for value in inner.output}
        self.room = MAX_NODES - len(graph.node)

    def why_not(self, node: NodeProto) -> str:
        try:
            self._rounds(node)
        except DecidedLaterError as reason:
            return str(reason)
        return "is control flow of no known course"

    def written_out(self, node: NodeProto) -> list[NodeProto] | None:
        try:
            return self._rounds(node)
        except DecidedLaterError:
            return None

    def _rounds(self, node: NodeProto) -> list[NodeProto]:
        match node.op_type:
            case "Loop":
                return _Loop(self, node).run()
            case "Scan":
                return _Scan(self, node).run()
            case "If":
                raise DecidedLaterError("chooses its branch by a condition that is computed while the model runs")
        raise DecidedLaterError("holds graphs, and only those of If, Loop and Scan are opened")

    def constant(self, array: Array, like: str) -> str:
        """The name of a new initialiser."""
        name = self.names.free(like)
        self.initializers.append(onnx.numpy_helper.from_array(array, name))
        return name

    def value_of(self, name: str) -> Array | None:
        return array_of(self.constants[name]) if name in self.constants else None

    def reserve(self, rounds: int, body: GraphProto) -> None:
        if rounds > MAX_ROUNDS:
            raise DecidedLaterError(f"runs {rounds} times, and at most {MAX_ROUNDS} are written out")
        self.room -= rounds * len(body.node)
        if self.room < 0:
            raise DecidedLaterError(f"would make more than {MAX_NODES} nodes when it is written out")

    def place(self, body: GraphProto, given: Sequence[str]) -> tuple[list[NodeProto], list[str]]:
        """(the body's nodes with its inputs bound to `given`, the tensors that are its outputs)."""
        if len(given) != len(body.input):
            raise DecidedLaterError(f"has a body of {counted_of(len(body.input), 'input')}, and gives it {len(given)}")
        copy = GraphProto()
        copy.CopyFrom(body)
        bound = dict(zip((value.name for value in copy.input), given, strict=True))
        del copy.input[:]
        _rename_graph(copy, bound, self.names, self.node_names)
        self.initializers.extend(copy.initializer)
        return list(copy.node), [value.name for value in copy.output]


class _Body:
    """A node that repeats its body: what both sorts share."""

    def __init__(self, opening: _Opening, node: NodeProto) -> None:
        self.opening = opening
        self.node = node
        self.attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        self.body: GraphProto = self.attributes["body"]
        self.made: list[NodeProto] = []

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        name = self.opening.node_names.free(f"{self.node.name}/{op_type}")
        made = onnx.helper.make_node(op_type, inputs, [output], name=name, **attributes)
        made.metadata_props.add(key=ORIGINS, value=json.dumps([self.node.name]))
        self.made.append(made)
        return output

    def repeat(self, given: Sequence[str]) -> list[str]:
        nodes, outputs = self.opening.place(self.body, given)
        self.made += nodes
        return outputs

    def finish(self, states: Sequence[str], collected: Sequence[Sequence[str]], axes: Sequence[int]) -> list[NodeProto]:
        """The node's outputs: the last states, and what each round gave, one behind the other."""
        names = list(self.node.output)
        for state, name in zip(states, names, strict=False):
            if name:
                self.add("Identity", [state], name)
        for parts, axis, name in zip(collected, axes, names[len(states) :], strict=False):
            if name in self.opening.read:
                self._join(parts, axis, name)
        return self.made

    def _join(self, parts: Sequence[str], axis: int, name: str) -> None:
        if not parts:
            raise DecidedLaterError(f"never runs, so that its output '{name}' is empty")
        axes = self.opening.constant(np.array([axis], np.int64), f"{name}.axis")
        slices = [self.add("Unsqueeze", [part, axes], self.opening.names.free(f"{name}.part")) for part in parts]
        self.add("Concat", slices, name, axis=axis)


class _Loop(_Body):
    """Inputs: trip count, condition, states; the body's: counter, condition, states -> condition, states, parts."""

    def run(self) -> list[NodeProto]:
        inputs = [*self.node.input, "", ""]
        states = list(self.node.input[2:])
        rounds = self._count(inputs[0], inputs[1])
        self.opening.reserve(rounds, self.body)
        collected: list[list[str]] = [[] for _ in self.body.output[1 + len(states) :]]
        held = self.opening.constant(np.array(True), f"{self.node.name}.condition")
        for index in range(rounds):
            counter = self.opening.constant(np.array(index, np.int64), f"{self.node.name}.counter")
            outputs = self.repeat([counter, held, *states])
            states, parts = outputs[1 : 1 + len(states)], outputs[1 + len(states) :]
            for column, part in zip(collected, parts, strict=True):
                column.append(part)
        return self.finish(states, collected, [0] * len(collected))

    def _count(self, trips: str, condition: str) -> int:
        begins = self.opening.value_of(condition) if condition else np.array(True)
        if begins is None:
            raise DecidedLaterError("begins by a condition that is computed while the model runs")
        if not single(begins, condition):
            return 0
        count = self.opening.value_of(trips) if trips else None
        if trips and count is None:
            raise DecidedLaterError("has no constant number of rounds")
        most = MAX_ROUNDS + 1 if count is None else max(0, int(single(count, trips)))
        if self._hands_on():
            if count is None:
                raise DecidedLaterError("never ends")
            return most
        states = [self.opening.value_of(name) for name in self.node.input[2:]]
        outer = {name: array_of(tensor) for name, tensor in self.opening.constants.items()}
        rounds = rounds_of(self.body, states, outer, min(most, MAX_ROUNDS + 1))
        if rounds is None:
            raise DecidedLaterError("decides in its body, by data, when it ends")
        if rounds > MAX_ROUNDS:
            raise DecidedLaterError(f"runs more than {MAX_ROUNDS} times, and at most those are written out")
        return rounds

    def _hands_on(self) -> bool:
        """Whether the body's condition is the one before it."""
        makers = {name: node for node in self.body.node for name in node.output}
        name = self.body.output[0].name
        while name in makers and makers[name].op_type in ("Identity", "Cast"):
            name = makers[name].input[0]
        return bool(name == self.body.input[1].name)


class _Scan(_Body):
    """Inputs: states, then tensors that are read slice by slice; outputs: states, then what the slices gave."""

    def run(self) -> list[NodeProto]:
        slices = int(self.attributes["num_scan_inputs"])
        split = len(self.node.input) - slices
        states, sources = list(self.node.input[:split]), list(self.node.input[split:])
        axes = self._axes("scan_input_axes", [len(self._shape(name)) for name in sources])
        counts = {self._shape(name)[axis] for name, axis in zip(sources, axes, strict=True)}
        if len(counts) != 1:
            raise DecidedLaterError(f"reads tensors of different lengths: {sorted(counts)}")
        (rounds,) = counts
        self.opening.reserve(rounds, self.body)
        backwards = self._flags("scan_input_directions", slices)
        collected: list[list[str]] = [[] for _ in self.body.output[split:]]
        for index in range(rounds):
            places = [rounds - 1 - index if back else index for back in backwards]
            outputs = self.repeat([*states, *map(self._slice, sources, axes, places)])
            states = outputs[:split]
            for column, part in zip(collected, outputs[split:], strict=True):
                column.append(part)
        turned = self._flags("scan_output_directions", len(collected))
        columns = [column[::-1] if back else column for column, back in zip(collected, turned, strict=True)]
        # A part's own rank is not stated everywhere: a negative axis is left to Unsqueeze and Concat.
        return self.finish(states, columns, self._given("scan_output_axes", len(collected)))

    def _shape(self, name: str) -> Shape:
        if name not in self.opening.shapes:
            raise DecidedLaterError(f"reads '{name}', whose shape is not known")
        return self.opening.shapes[name]

    def _slice(self, source: str, axis: int, place: int) -> str:
        index = self.opening.constant(np.array(place, np.int64), f"{self.node.name}.place")
        return self.add("Gather", [source, index], self.opening.names.free(f"{source}.slice"), axis=axis)

    def _given(self, name: str, count: int) -> list[int]:
        return list(self.attributes.get(name, [0] * count))

    def _axes(self, name: str, ranks: list[int]) -> list[int]:
        return [axis % rank for axis, rank in zip(self._given(name, len(ranks)), ranks, strict=True)]

    def _flags(self, name: str, count: int) -> list[bool]:
        return [bool(flag) for flag in self._given(name, count)]
