"""A float model with the factors of pairs in its constants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import ORIGINS, Array, Names, constant_input, origins_of, tensor_names
from axbuild.toolchain.ops.gain import Gain
from axbuild.toolchain.smooth.pairs import Pair, Way, way_up
from axbuild.toolchain.smooth.reach import Reach, reach_of

SMOOTHED = "_smoothed"
"""behind the name of what is there once more"""


@dataclass(frozen=True)
class ScaledPair:
    """What a pair is made of in one graph. tensor: the smoothed one; way: nodes that write it; reach: behind it."""

    tensor: ir.Value
    way: Way
    reach: Reach

    @property
    def nodes(self) -> set[str]:
        """Names of all its nodes."""
        behind = (*self.reach.movers, *self.reach.takers)
        return {node.name or "" for node in (*(node for node, _ in self.way.steps), *behind)}


def scale(graph: ir.Graph, pairs: Sequence[Pair]) -> list[ScaledPair]:
    """Change the graph; it computes the same numbers, but in the tensors of the pairs."""
    names = tensor_names(graph)
    return [_scale(graph, pair, names) for pair in pairs]


def place(graph: ir.Graph, pair: Pair) -> ScaledPair:
    """The pair as it stands in a graph that is not scaled."""
    value = next(value for node in graph for value in node.outputs if value.name == pair.tensor)
    readers = [use.node for use in value.uses() if use.node.name in pair.readers]
    way, reach = way_up(value, pair.axis), reach_of(value, pair.axis, readers)
    if way is None or reach is None:
        raise ValueError(f"'{pair.tensor}' is no pair in this model")
    return ScaledPair(value, way, reach)


def _scale(graph: ir.Graph, pair: Pair, names: Names) -> ScaledPair:
    found = place(graph, pair)
    if pair.apart:
        found = _apart(graph, found, set(pair.readers))
    divide(graph, found, np.ldexp(1.0, np.array(pair.exponents)), names)
    return found


def divide(graph: ir.Graph, found: ScaledPair, factors: Array, names: Names) -> None:
    """Divide the channels of a pair's tensor by positive factors, float64 [c], and make up for it behind."""
    for node, gain in found.way.steps:
        _multiply(graph, node, gain, 1.0 / factors, names)
    for node, gain in found.reach.takers.items():
        _multiply(graph, node, gain, factors, names)


def _apart(graph: ir.Graph, found: ScaledPair, readers: set[str]) -> ScaledPair:
    """The writer once more, for these readers; layer rules for its name are for both."""
    ((node, gain),) = found.way.steps
    twin = ir.Node(
        node.domain,
        node.op_type,
        node.inputs,
        list(node.attributes.values()),
        name=f"{node.name}{SMOOTHED}",
        outputs=[ir.Value(name=f"{found.tensor.name}{SMOOTHED}", shape=found.tensor.shape, type=found.tensor.type)],
        metadata_props=dict(node.metadata_props) | {ORIGINS: json.dumps(origins_of(node))},
    )
    graph.insert_after(node, twin)
    tensor = twin.outputs[0]
    for reader, index in [(use.node, use.idx) for use in found.tensor.uses() if use.node.name in readers]:
        reader.replace_input_with(index, tensor)
    axes = {tensor if value is found.tensor else value: axis for value, axis in found.reach.axes.items()}
    return ScaledPair(tensor, Way(((twin, gain),)), Reach(axes, found.reach.movers, found.reach.takers))


def _multiply(graph: ir.Graph, node: ir.Node, gain: Gain, factors: Array, names: Names) -> None:
    """Constants of one node, as constants of its own: others may share them."""
    for index, axis in gain.constants.items():
        given, old = constant_input(node, index), node.inputs[index]
        if given is None or old is None:
            raise ValueError(f"input {index} of '{node.name}' is no constant")
        array = (given * factors.reshape(-1, *[1] * (-axis - 1))).astype(given.dtype)
        name = names.free(f"{old.name}{SMOOTHED}")
        shape, kind = ir.Shape(array.shape), old.type
        value = ir.Value(name=name, shape=shape, type=kind, const_value=ir.tensor(array, name=name))
        graph.register_initializer(value)
        node.replace_input_with(index, value)


def touched(scaled: Iterable[ScaledPair]) -> set[str]:
    """Names of tensors with new values that no mover makes."""
    return {output.name or "" for one in scaled for node, _ in one.way.steps for output in node.outputs}
