"""What the weights of a model are multiplied with, in the float model on calibration samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.graph import Array, activations_of, shape_of
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.tune.boundary import Tensors

PLACES = 4096
"""of an output, over all samples, that a weight is looked at"""
WIDEST = 4096
"""inputs of a row: a covariance of more takes too much memory, and such a weight is not looked at"""
ROOM = 256 << 20
"""bytes of covariances that one pass over the samples gathers"""


@dataclass
class Met:
    """Of one weight's inputs, sums over places: how many, each [g, n], and of products of two [g, n, n].

    origin: [g, 1, n], what is taken off before: products of values that lie far from 0 would lose what they vary by.
    """

    fused: FusedNode
    origin: Array | None = None
    count: int = 0
    total: Array | float = 0.0
    products: Array | float = 0.0

    def see(self, columns: Array) -> None:
        """float32 [g, places, n]"""
        self.origin = columns.mean(axis=1, keepdims=True) if self.origin is None else self.origin
        moved = columns - self.origin
        self.count += columns.shape[1]
        self.total = self.total + moved.sum(axis=1, dtype=np.float64)
        self.products = self.products + (moved.swapaxes(1, 2) @ moved).astype(np.float64)

    @property
    def means(self) -> Array:
        """[g, n]"""
        found: Array = self._moved + np.asarray(self.origin)[:, 0]
        return found

    @property
    def covariance(self) -> Array:
        """[g, n, n]"""
        moved = self._moved
        found: Array = np.asarray(self.products) / self.count - moved[:, :, np.newaxis] * moved[:, np.newaxis]
        return found

    @property
    def _moved(self) -> Array:
        found: Array = np.asarray(self.total) / self.count
        return found


def met_by(file: Path, weights: Iterable[FusedNode], feeds: Sequence[Tensors]) -> Iterator[Met]:
    """Of each of these nodes that is looked at. file: the float model; feeds: samples of its inputs."""
    proto = onnx.load(file, load_external_data=False)
    for nodes in _passes(weights):
        found = [Met(fused) for fused in nodes]
        for number, values in enumerate(_values(proto, file.parent, [_read(fused) for fused in nodes], feeds)):
            for met in found:
                columns = _columns(met.fused, values[_read(met.fused)], number, len(feeds))
                if columns is not None:
                    met.see(columns)
        yield from found


def _passes(weights: Iterable[FusedNode]) -> Iterator[list[FusedNode]]:
    """As many together as there is room for what is gathered of them."""
    nodes: list[FusedNode] = []
    held = 0
    for fused in weights:
        shape = shape_of(activations_of(fused.node)[0])
        one = _met(fused, np.zeros(shape, np.float32), np.zeros(1, np.int64))
        if one is None or one.shape[2] > WIDEST:
            continue
        size = 8 * one.shape[0] * one.shape[2] ** 2
        if nodes and held + size > ROOM:
            yield nodes
            nodes, held = [], 0
        nodes.append(fused)
        held += size
    if nodes:
        yield nodes


def _values(proto: onnx.ModelProto, folder: Path, names: Sequence[str], feeds: Sequence[Tensors]) -> Iterator[Tensors]:
    """Of each sample these tensors, the model's inputs among them."""
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    made = [info for info in (*proto.graph.value_info, *proto.graph.output) if info.name in names]
    del shown.graph.output[:]
    shown.graph.output.extend(made or proto.graph.output)
    session = ort.open_session(shown.SerializeToString(), data=folder)
    wanted = [info.name for info in shown.graph.output]
    for number, feed in enumerate(feeds, 1):
        tell("sample", number, len(feeds))
        yield feed | dict(zip(wanted, session.run(wanted, feed), strict=True))


def _read(fused: FusedNode) -> str:
    return activations_of(fused.node)[0].name or ""


def _columns(fused: FusedNode, values: Array, number: int, samples: int) -> Array | None:
    """float32 [g, places, n] of one sample, at places that differ from sample to sample."""
    output, op = shape_of(fused.node.outputs[0]), integer_op(fused)
    size = math.prod(output) // output[op.channel_axis(fused.node, 0)]
    stride = -(-size * samples // PLACES)
    while stride > 1 and math.gcd(stride, output[-1]) > 1:  # no factor in common with the rows: every column is met
        stride += 1
    return _met(fused, values, np.arange(number % stride, size, stride))


def _met(fused: FusedNode, values: Array, places: Array) -> Array | None:
    return integer_op(fused).columns(fused.node, values, places)
