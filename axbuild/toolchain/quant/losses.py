"""Channels that quantisation silences: what varies by less than two steps of the grid that its tensor stands on."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxWarning
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.groups import covers
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics, TensorStatistics

LOST = 2.0
"""steps: what varies by less keeps a signal of at most 6 dB over its rounding"""

SHARE = 1 / 8
"""of the channels that vary: a healthy net loses up to 1 in 100"""

CONSTANT = 2.0**-24
"""of the tensor's width: what varies by less is constant beside it in float32 too"""

MOST_TOLD = 5
"""warnings of one model; the last one counts the rest"""


@dataclass(frozen=True)
class Loss:
    """Channels of `tensor` where `node` writes or reads it as codes.

    varying: how many vary at all; loudest: the channel that reaches farthest from 0, and its value there; readers: the
    operators that read the tensor; constant: a node whose constant the grid must hold, and the constant, where it is
    what makes the grid wide.
    """

    node: ir.Node
    tensor: str
    lost: int
    varying: int
    grid: Grid
    loudest: tuple[int, float]
    readers: tuple[str, ...]
    constant: tuple[str, float] | None

    def __str__(self) -> str:
        named = " and ".join(f"'{name}'" for name in self.readers[:2]) or f"'{self.node.name}'"
        return (
            f"'{self.node.name}' ({self.node.op_type}) loses {self.lost} of the {self.varying} channels of "
            f"'{self.tensor}' that vary: they do so by less than {LOST:g} steps of its {self.grid.type} codes, "
            f"{self.grid.scale:.3g} each, {self._cause()}; bring the channels to one size in the model"
            + (f", or give {named} data_type U16 in layer_configs" if self.grid.type.bits == 8 else "")
        )

    def _cause(self) -> str:
        channel, reach = self.loudest
        lo, hi = (self.grid.real(code) for code in (self.grid.type.lo, self.grid.type.hi))
        if self.constant is not None:
            return f"because '{self.constant[0]}' fills with {self.constant[1]:.3g}"
        if 2 * abs(reach) >= max(-lo, hi):
            return f"because channel {channel} reaches {reach:.3g}"
        return f"because these, which it shares with other tensors, reach from {lo:.3g} to {hi:.3g}"


def tell(graph: ir.Graph, scheme: Scheme, statistics: Statistics) -> None:
    """Warn of what is lost."""
    found = list(losses(graph, scheme, statistics))
    more = len(found) - MOST_TOLD
    for loss in found[:MOST_TOLD]:
        behind = f"; and so at {more} more places" if more > 0 and loss is found[MOST_TOLD - 1] else ""
        warnings.warn(AxWarning("AX361", f"{loss}{behind}"), stacklevel=2)


def losses(graph: ir.Graph, scheme: Scheme, statistics: Statistics) -> Iterator[Loss]:
    """In the order of the graph, a tensor once for each of its grids."""
    nodes = {node.name or "": node for node in graph}
    values = {value.name or "": value for value in (*graph.inputs, *(out for node in graph for out in node.outputs))}
    constants = _constants(nodes, scheme)
    seen: set[tuple[str, Grid]] = set()
    for site in scheme.sites:
        for tensor, edge in (*site.reads.items(), *site.writes.items()):
            known = statistics.tensors.get(tensor)
            if known is None or not isinstance(edge, Grid) or (tensor, edge) in seen:
                continue
            seen.add((tensor, edge))
            lost, varying = _counts(known, edge)
            if lost > SHARE * varying:
                readers = dict.fromkeys(use.node.name or "" for use in values[tensor].uses())
                about = (_loudest(known), tuple(readers), constants.get(edge))
                yield Loss(nodes[site.nodes[0]], tensor, lost, varying, edge, *about)


def _constants(nodes: Mapping[str, ir.Node], scheme: Scheme) -> dict[Grid, tuple[str, float]]:
    """Grid -> a node with a constant that reaches across half of it, and the constant."""
    found: dict[Grid, tuple[str, float]] = {}
    for site in scheme.sites:
        node = nodes[site.nodes[-1]]
        grids = [edge for edge in site.writes.values() if isinstance(edge, Grid)]
        for grid, real in itertools.product(grids, covers(node)):
            if 2 * abs(real) >= grid.scale * grid.reach:
                found[grid] = (node.name or "", real)
    return found


def _counts(known: TensorStatistics, grid: Grid) -> tuple[int, int]:
    """(channels that are lost, channels that vary)"""
    widths = known.channel_maximum.astype(np.float64) - known.channel_minimum
    varying = widths > CONSTANT * (known.whole.maximum - known.whole.minimum)
    return int((varying & (widths < LOST * grid.scale)).sum()), int(varying.sum())


def _loudest(known: TensorStatistics) -> tuple[int, float]:
    reach = np.maximum(np.abs(known.channel_minimum), np.abs(known.channel_maximum))
    channel = int(reach.argmax())
    low, high = float(known.channel_minimum[channel]), float(known.channel_maximum[channel])
    return channel, high if abs(high) >= abs(low) else low
