"""Where a float model may be cut into segments that are observed apart, and what a sample takes in each.

A cut lies where little has to be kept for what comes behind it. They are looked for from the front on: an edit moves
only cuts behind it, where everything is observed anew in any case.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import onnx_ir as ir

from axbuild.toolchain.graph import activations_of, is_constant, is_static, shape_of
from axbuild.toolchain.quant.segments import Segment

MULTIPLY_SECONDS, ELEMENT_SECONDS, NODE_SECONDS = 55e-12, 1.2e-9, 25e-6
"""What observation takes on one thread for each product of a layer, element of a tensor and node. Of five networks of
0.8 to 700 million products they give the time within a third."""
BYTE_SECONDS = 5e-9
"""To write what stands at a cut, to take its digest, and to read it again"""
LONG_SECONDS = 0.01
"""What a sample takes in a segment at least: a shard of it is then ten times what an action costs"""
SHARE = 0.05
"""of a segment's time, that what stands behind it may cost at most"""


def segments_of(graph: ir.Graph) -> list[Segment]:
    """The graph in order; one segment where it is small, or has graphs in it. The first one reads all its inputs."""
    nodes = list(graph)
    whole = any(attribute.type in _GRAPHS for node in nodes for attribute in node.attributes.values())
    runs = [nodes] if whole else [run.nodes for run in _runs(nodes)]
    behind = [[node for later in runs[place + 1 :] for node in later] for place in range(len(runs))]
    rows = [_segment(own, later) for own, later in zip(runs, behind, strict=True)]
    inputs = tuple(value.name or "" for value in graph.inputs)
    return [replace(rows[0], reads=inputs), *rows[1:]]


_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


@dataclass
class _Run:
    nodes: list[ir.Node] = field(default_factory=list)
    seconds: float = 0.0


def _runs(nodes: list[ir.Node]) -> list[_Run]:
    found = [_Run()]
    left = sum(map(seconds_of, nodes))
    for node, kept in zip(nodes, _kept(nodes), strict=True):
        found[-1].nodes.append(node)
        found[-1].seconds += seconds_of(node)
        left -= seconds_of(node)
        long = min(found[-1].seconds, left) >= LONG_SECONDS
        if long and kept * BYTE_SECONDS <= SHARE * found[-1].seconds:
            found.append(_Run())
    return found


def _kept(nodes: list[ir.Node]) -> Iterator[float]:
    """Behind each node, the bytes of what was made and is still to be read; endless where that is no file of ours."""
    last = {value: place for place, node in enumerate(nodes) for value in activations_of(node)}
    alive: dict[ir.Value, float] = {}
    for place, node in enumerate(nodes):
        alive |= {value: _bytes(value) for value in node.outputs}
        alive = {value: size for value, size in alive.items() if last.get(value, -1) > place}
        yield sum(alive.values())


def _bytes(value: ir.Value) -> float:
    fits = value.dtype == ir.DataType.FLOAT and is_static(value)
    return 4.0 * math.prod(shape_of(value)) if fits else math.inf


def _segment(own: list[ir.Node], later: list[ir.Node]) -> Segment:
    made = {value: None for node in own for value in node.outputs}
    read = {value: None for node in own for value in activations_of(node) if value not in made}
    wanted = {value for node in later for value in activations_of(node)}
    return Segment(
        tuple(node.name or "" for node in own),
        tuple(value.name or "" for value in read),
        tuple(value.name or "" for value in made if value in wanted),
        round(sum(map(seconds_of, own)), 6),
    )


def seconds_of(node: ir.Node) -> float:
    """What a sample takes in the node, about."""
    elements = sum(math.prod(shape_of(value)) for value in node.outputs if is_static(value))
    shape = shape_of(node.outputs[0]) if is_static(node.outputs[0]) else ()
    products = sum(
        elements * _products(shape_of(value), shape) for value in node.inputs if value and is_constant(value)
    )
    return MULTIPLY_SECONDS * products + ELEMENT_SECONDS * elements + NODE_SECONDS


def _products(constant: tuple[int, ...], out: tuple[int, ...]) -> float:
    """Of a weight, the products of an element of the output: its size over the output's channels."""
    if len(constant) < 2 or not out:
        return 0.0
    return math.prod(constant) / max(out[1 if len(constant) > 2 and len(out) > 1 else -1], 1)
