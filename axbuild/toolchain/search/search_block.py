"""Stage: the grid of one block and the steps of the weights behind it, searched for the outputs nearest to the float
model's.

Wu et al., EasyQuant (2020), which alternates between a layer's activation and its weights. Here the integers themselves
are run for each trial; an activation's two ends are searched apart, and the weights of each output channel by
themselves, all channels at once, since no channel sees another's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array, shape_of
from axbuild.toolchain.kinds.arithmetic import quantise_weight
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.ranges import Range, grid_of
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme
from axbuild.toolchain.search.grids import block_grid
from axbuild.toolchain.tune.blocks import Site
from axbuild.toolchain.tune.boundary import Tensors, read_tensors
from axbuild.toolchain.tune.passes import coded_outputs, error_of, float_outputs, reals_of
from axbuild.toolchain.tune.plan import MODEL, REPORT, SCHEME
from axbuild.toolchain.tune.rebake import baked, held_bias, moved, rebaked
from axbuild.toolchain.tune.report import Outcome

ENDS = (0.35, 0.5, 0.6, 0.7, 0.78, 0.85, 0.9, 0.95, 1.05)
"""shares of an end of the grid that are tried"""
STEPS = (0.7, 0.78, 0.84, 0.89, 0.93, 0.97, 1.03)
"""shares of a channel's weight step that are tried"""
ROUNDS = 2


@dataclass(frozen=True)
class SearchBlockParams:
    """Nothing to choose."""


def search_block(block: Path, tensors: Path, out: Path, *, params: SearchBlockParams) -> None:
    """block: a folder as `parts` has it; tensors: what it reads. Writes its `scheme.msgpack`, and `report.json`."""
    found, outcome = GridSearch(block / MODEL, Scheme.read(block / SCHEME), read_tensors(tensors)).run()
    found.write(out / SCHEME)
    outcome.write(out / REPORT)


class GridSearch:
    """A block with its data. targets: the float outputs."""

    def __init__(self, model: Path, scheme: Scheme, inputs: Tensors) -> None:
        self.graph, self.inputs = ir.load(model).graph, inputs
        self.start = scheme
        self.sites = placed(self.graph, scheme)
        self.targets = reals_of(float_outputs(model, inputs))

    def run(self) -> tuple[Scheme, Outcome]:
        """The best scheme that was seen, at worst the one it starts from."""
        best, least = self.start, self.error(self.start)
        before = least
        for _ in range(ROUNDS):
            kept = least
            for upper in (True, False):
                best, least = self._ends(best, least, upper)
            best, least = self._steps(best, least)
            if least == kept:
                break
        return best, Outcome(before, least, "" if least < before else "nothing was gained")

    def error(self, scheme: Scheme) -> float:
        """By the exact integers, noise over signal of the outputs; infinite where a number does not fit."""
        try:
            return error_of(self.targets, coded_outputs(self.graph, scheme, self.inputs))
        except AxError:
            return math.inf

    def _ends(self, best: Scheme, least: float, upper: bool) -> tuple[Scheme, float]:
        """With the best place of one end of the grid."""
        _, grid = block_grid(best.owners, best.sites)
        lo, hi = grid.real(grid.type.lo), grid.real(grid.type.hi)
        if (hi if upper else lo) == 0.0:
            return best, least
        start = best
        for share in ENDS:
            ends = Range(lo, hi * share) if upper else Range(lo * share, hi)
            trial = self._on(start, grid_of(ends, grid.type))
            if trial is not None and (error := self.error(trial)) < least:
                best, least = trial, error
        return best, least

    def _on(self, scheme: Scheme, grid: Grid) -> Scheme | None:
        """The scheme with its grid moved, and biases behind it; None where they do not fit."""
        grids = {block_grid(scheme.owners, scheme.sites): grid}
        try:
            sites = [_moved(site, moved(site.reads, scheme.owners, grids)) for site in scheme.sites]
        except AxError:
            return None
        return Scheme(tuple(sites), scheme.owners)

    def _steps(self, best: Scheme, least: float) -> tuple[Scheme, float]:
        """With the best step of each output channel of the weights."""
        nodes = [place for place in zip(self.sites, best.sites, strict=True) if place[1].weight is not None]
        shares = {site.nodes: np.ones(len(baked(site).scale)) for _, site in nodes}
        errors = self._channel_errors(best)
        for share in STEPS:
            trial = self._scaled(best, {site.nodes: np.full(len(baked(site).scale), share) for _, site in nodes})
            found = self._channel_errors(trial) if trial is not None else {}
            for nodes_of, each in found.items():
                better = each < errors[nodes_of]
                shares[nodes_of][better], errors[nodes_of][better] = share, each[better]
        chosen = self._scaled(best, shares)
        error = self.error(chosen) if chosen is not None else math.inf
        return (chosen, error) if chosen is not None and error < least else (best, least)

    def _scaled(self, scheme: Scheme, shares: Mapping[tuple[str, ...], Array]) -> Scheme | None:
        """The scheme with these shares of its weights' steps; those that a bias has raised stay."""
        try:
            sites = [
                _rescaled(place, site, shares[site.nodes]) if site.weight is not None else site
                for place, site in zip(self.sites, scheme.sites, strict=True)
            ]
        except AxError:
            return None
        return replace(scheme, sites=tuple(sites))

    def _channel_errors(self, scheme: Scheme) -> dict[tuple[str, ...], Array]:
        """Of each weighted node, the squared error of each output channel; empty where a number does not fit."""
        try:
            found = coded_outputs(self.graph, scheme, self.inputs)
        except AxError:
            return {}
        return {
            site.nodes: _by_channel(fused, self.targets, found)
            for (fused, _), site in zip(self.sites, scheme.sites, strict=True)
            if site.weight is not None
        }


def _by_channel(fused: FusedNode, target: Tensors, found: Tensors) -> Array:
    """float64 [co], over samples and places."""
    name = fused.output.name or ""
    axis = integer_op(fused).channel_axis(fused.node, 0) - len(shape_of(fused.output))
    rows = np.moveaxis((found[name].astype(np.float64) - target[name]) ** 2, axis, 0)
    total: Array = rows.reshape(len(rows), -1).sum(axis=1)
    return total


def _moved(site: SiteScheme, reads: dict[str, Edge]) -> SiteScheme:
    """The site on other grids; its codes stay, and its bias is rounded anew."""
    if site.weight is None:
        return replace(site, reads=reads)
    weight = site.weight
    return replace(site, reads=reads, weight=rebaked(site, reads, weight.codes, weight.scale, held_bias(site)))


def _rescaled(place: Site, site: SiteScheme, shares: Array) -> SiteScheme:
    """The site with its weight on other steps."""
    weight, real = baked(site), integer_op(place[0]).weight(place[0].node)
    if real is None:
        raise ValueError(f"'{place[0].name}' has no weight")
    free = shares.copy()
    free[list(weight.raised)] = 1.0
    scale = (weight.scale.astype(np.float64) * free).astype(np.float32)
    codes = quantise_weight(real, scale, weight.type)
    codes[free == 1.0] = weight.codes[free == 1.0]
    return replace(site, weight=rebaked(site, site.reads, codes, scale, held_bias(site)))
