"""Pairs for SmoothQuant: a tensor with loud channels, the constants before it that can lower them, and the weights
behind it that take them over.

Xiao et al., SmoothQuant (2023): the factor of channel j is max|x_j|^a / max|w_j|^(1 - a), a being the strength. Here it
is rounded to a power of two, so that the float model computes the same numbers, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array, constant_input, has_one_reader
from axbuild.toolchain.ops.gain import Gain
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.statistics import Statistics, TensorStatistics
from axbuild.toolchain.quant.watch import watched
from axbuild.toolchain.smooth.reach import reach_of

FORMAT = "axbuild-pairs/1"
FARTHEST = 40
"""A factor is at most 2^40: float32 stays far from its ends"""


class PairsError(AxError):
    """AX369: a list of pairs that is damaged."""

    code = "AX369"


@dataclass(frozen=True)
class Pair:
    """tensor: its name. axis: of its channels. readers: the nodes behind it that read it smoothed. apart: whether
    others go on reading it as it is, so that its writer is there twice. exponents: channel j is divided by 2 to the
    power of exponents[j].
    """

    tensor: str
    axis: int
    readers: tuple[str, ...]
    apart: bool
    exponents: tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """Up from a tensor: the nodes whose constants take the factors, each with where they go."""

    steps: tuple[tuple[ir.Node, Gain], ...]

    @property
    def head(self) -> ir.Node:
        return self.steps[-1][0]


def evenness(tensor: TensorStatistics) -> float:
    """From 0 to 1: what half of the channels reach at most, as a share of the loudest one's largest magnitude."""
    channels = loudness(tensor)
    return float(np.median(channels) / channels.max()) if channels.max() else 1.0


def loudness(tensor: TensorStatistics) -> Array:
    """float64 [c]: the largest magnitude of each channel."""
    return np.maximum(np.abs(tensor.channel_minimum), np.abs(tensor.channel_maximum)).astype(np.float64)


def pairs_of(graph: ir.Graph, statistics: Statistics, threshold: float, strength: float) -> list[Pair]:
    """In the order of the graph. threshold: evenness up to which a tensor is taken."""
    values = {value.name: value for node in graph for value in node.outputs}
    found = []
    for row in watched(graph):
        value, tensor = values.get(row.name), statistics.tensors.get(row.name)
        if value is None or tensor is None or evenness(tensor) > threshold:
            continue
        pair = _pair(value, row.axis, tensor, strength)
        if pair is not None:
            found.append(pair)
    return found


def _pair(value: ir.Value, axis: int, tensor: TensorStatistics, strength: float) -> Pair | None:
    way = way_up(value, axis)
    if way is None:
        return None
    readers = [use.node for use in value.uses()]
    reach = None if value.is_graph_output() else reach_of(value, axis, readers)
    apart = reach is None
    if apart and _is_cheap(way):
        readers = [node for node in readers if reach_of(value, axis, [node])]
        reach = reach_of(value, axis, readers)
    if reach is None:
        return None
    exponents = _exponents(loudness(tensor), _largest_weights(reach.takers, tensor.channels), strength)
    names = tuple(dict.fromkeys(node.name or "" for node in readers))
    return Pair(value.name or "", axis, names, apart, exponents) if any(exponents) else None


def way_up(value: ir.Value, axis: int) -> Way | None:
    """The constants before a tensor that can take a factor for each of its channels; None where there are none."""
    node = value.producer()
    op = op_of(node) if node is not None else None
    gain = op.gain(node, axis) if op is not None and node is not None else None
    if node is None or gain is None:
        return None
    if not gain.through:
        return Way(((node, gain),)) if gain.constants else None
    for before in gain.through:
        further = way_up(before, axis) if has_one_reader(before) and before.shape == value.shape else None
        if further is not None:
            return Way(((node, gain), *further.steps))
    return None


def _is_cheap(way: Way) -> bool:
    """Whether the writer may be there twice: it is one node, without a matrix of weights."""
    op = op_of(way.head)
    return len(way.steps) == 1 and op is not None and op.weight(way.head) is None


def _largest_weights(takers: Mapping[ir.Node, Gain], channels: int) -> Array:
    """float64 [c]: the largest magnitude of the weights that meet each channel."""
    found = np.zeros(channels)
    for node, gain in takers.items():
        for index, axis in gain.constants.items():
            weight = constant_input(node, index)
            if weight is not None:
                found = np.maximum(found, np.abs(np.moveaxis(weight, axis, 0).reshape(channels, -1)).max(axis=1))
    return found


def _exponents(loud: Array, weights: Array, strength: float) -> tuple[int, ...]:
    """Powers of two, those of the middle channel taken off; 0 for a channel that is silent or that no weight reads."""
    heard = (loud > 0.0) & (weights > 0.0)
    if not heard.any():
        return (0,) * len(loud)
    logarithms = strength * np.log2(loud[heard]) - (1.0 - strength) * np.log2(weights[heard])
    whole = np.rint(logarithms - np.median(logarithms)).astype(int).clip(-FARTHEST, FARTHEST)
    exponents = np.zeros(len(loud), int)
    exponents[heard] = whole
    return tuple(exponents.tolist())


def write_pairs(pairs: Collection[Pair], file: Path) -> None:
    content = {"format": FORMAT, "pairs": [asdict(pair) for pair in pairs]}
    file.write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")


def read_pairs(file: Path) -> list[Pair]:
    """Raises PairsError."""
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != FORMAT:
            raise PairsError(f"the list of pairs is not of the format {FORMAT}")
        return [
            Pair(row["tensor"], row["axis"], tuple(row["readers"]), row["apart"], tuple(row["exponents"]))
            for row in content["pairs"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise PairsError(f"the list of pairs is damaged: {type(error).__name__}") from None
