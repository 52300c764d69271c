"""A block as torch computes it: its operators in order, with fake quantisation where the integers are rounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import onnx_ir as ir
import torch
from torch import Tensor

from axbuild.toolchain.graph import constant_of
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.scheme import SiteScheme
from axbuild.toolchain.tune.arrays import to_tensor
from axbuild.toolchain.tune.blocks import Site
from axbuild.toolchain.tune.evaluations import EVALUATIONS, WEIGHTED
from axbuild.toolchain.tune.rebake import OwnGrid

Key = tuple[str, Edge | None]
"""A tensor as it stands somewhere: on a grid, or with an element type; None: as it was computed."""
Values = dict[Key, Tensor]


@dataclass(frozen=True)
class Numbers:
    """What is learnt: of each weighted node, in order, its weight and bias; and the steps of grids, as tensors [1]."""

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    steps: Mapping[OwnGrid, Tensor]


Step = Callable[[Values, Numbers], None]


@dataclass(frozen=True)
class JudgedSites:
    """sites: of a block, in order. outputs: by which it is judged. owners: tensor -> owner of its grid, where that is
    the block's alone."""

    sites: Sequence[Site]
    outputs: tuple[str, ...]
    owners: Mapping[str, str]


class TorchBlock:
    """The operators of a block, made into steps once and run for every batch.

    rounded: with fake quantisation wherever the integers are rounded; else as the float model.
    """

    def __init__(self, part: JudgedSites, device: torch.device, rounded: bool) -> None:
        self._owners = part.owners
        self._device = device
        self._rounded = rounded
        self._made: dict[str, Key] = {}
        self._weights = 0
        self._outputs = set(part.outputs)
        self.needs: dict[Key, None] = {}
        """the block's inputs, as they are read"""
        self._steps = [step for fused, site in part.sites for step in self._site(fused, site)]
        self.results = {name: self._made[name] for name in part.outputs}

    def run(self, values: Values, numbers: Numbers) -> dict[str, Tensor]:
        """The outputs by name; values: of every key that it needs."""
        standing = dict(values)
        for step in self._steps:
            step(standing, numbers)
        return {name: standing[key] for name, key in self.results.items()}

    def _site(self, fused: FusedNode, site: SiteScheme) -> list[Step]:
        steps: list[Step] = []
        inner: dict[str, Key] = {}
        before_table = takewhile(lambda node: node is not fused.table, fused.swallowed)
        added = {node for node in before_table if fused.addend is not None and _adds(node)}
        head = len(fused.before)
        for number, node in enumerate((*fused.before, fused.node, *fused.swallowed)):
            target = node.outputs[0].name or ""
            reads = {value.name or "": self._read(value, inner, site.reads, steps) for value in _activations(node)}
            key: Key = (target, None)
            if number == head and site.weight is not None:
                steps.append(self._weighted(node, next(iter(reads.values())), key))
            elif node in added:
                key = next(iter(reads.values()))
            else:
                steps.append(self._plain(node, reads, key))
            if self._rounds(node, site.writes.get(target)):
                edge = site.writes[target]
                steps.append(self._rounding(key, (target, edge)))
                key = (target, edge)
            inner[target] = self._made[target] = key
        return steps

    def _read(self, value: ir.Value, inner: Mapping[str, Key], reads: Mapping[str, Edge], steps: list[Step]) -> Key:
        name = value.name or ""
        if name in inner:
            return inner[name]
        edge = reads.get(name) if self._rounded else None
        wanted: Key = (name, edge if isinstance(edge, Grid) else None)
        if name not in self._made:
            self.needs[wanted] = None
            return wanted
        standing = self._made[name]
        if standing[1] == wanted[1] or wanted[1] is None:
            return standing
        steps.append(self._rounding(standing, wanted))
        return wanted

    def _rounds(self, node: ir.Node, edge: Edge | None) -> bool:
        """Whether what a node writes is rounded: not what only moves codes, and not what the block is judged by, whose
        rounding would only be noise in the gradient."""
        op = op_of(node)
        moves = op is not None and bool(op.shared(node))
        return self._rounded and isinstance(edge, Grid) and not moves and node.outputs[0].name not in self._outputs

    def _weighted(self, node: ir.Node, source: Key, target: Key) -> Step:
        function, place = WEIGHTED[node.op_type], self._weights
        self._weights += 1

        def step(values: Values, numbers: Numbers) -> None:
            values[target] = function(node, values[source], numbers.weights[place], numbers.biases[place])

        return step

    def _plain(self, node: ir.Node, reads: Mapping[str, Key], target: Key) -> Step:
        function = EVALUATIONS[node.op_type]
        given = [self._given(value, reads) for value in node.inputs]

        def step(values: Values, numbers: Numbers) -> None:
            found = [values[item] if isinstance(item, tuple) else item for item in given]
            values[target] = function(node, found)

        return step

    def _rounding(self, source: Key, target: Key) -> Step:
        name, grid = target
        assert isinstance(grid, Grid)
        own = (self._owners.get(name, ""), grid)

        def step(values: Values, numbers: Numbers) -> None:
            values[target] = fake_quantised(values[source], grid, numbers.steps.get(own))

        return step

    def _given(self, value: ir.Value | None, reads: Mapping[str, Key]) -> Key | Tensor | None:
        array = constant_of(value)
        if array is not None:
            return to_tensor(array, self._device)
        return reads[value.name or ""] if value is not None else None


def fake_quantised(x: Tensor, grid: Grid, step: Tensor | None = None) -> Tensor:
    """Reals on a grid, the gradient passing straight through where they are inside it; step: its scale, if learnt."""
    lo, hi = grid.type.lo, grid.type.hi
    if step is None:
        return torch.fake_quantize_per_tensor_affine(x, grid.scale, grid.zero, lo, hi)
    zero = torch.full_like(step, float(grid.zero))
    learnable = torch._fake_quantize_learnable_per_tensor_affine
    return learnable(x, step, zero, lo, hi, 1.0)


def _activations(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and constant_of(value) is None]


def _adds(node: ir.Node) -> bool:
    op = op_of(node)
    follow = op.follows(node) if op is not None else None
    return follow is not None and follow.addend is not None
