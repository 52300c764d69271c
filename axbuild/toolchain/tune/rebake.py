"""A weight of the scheme with other codes, and other grids around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import quantise_bias, require_accumulator
from axbuild.toolchain.kinds.codes import S16, Edge, Grid
from axbuild.toolchain.ops.base import BakedWeight
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme
from axbuild.toolchain.tune.blocks import Site

OwnGrid = tuple[str, Grid]
"""the owner of a grid, and the grid it had"""


def baked(site: SiteScheme) -> BakedWeight:
    if site.weight is None:
        raise ValueError(f"'{site.nodes[0]}' has no weight in the scheme")
    return site.weight


def read_grid(reads: Mapping[str, Edge]) -> Grid:
    """The grid of the one activation that a weight is multiplied with."""
    (x,) = (edge for edge in reads.values() if isinstance(edge, Grid))
    return x


def held_bias(site: SiteScheme) -> Array:
    """float64 [co]: the bias that the scheme holds, in reals."""
    weight = baked(site)
    if weight.bias.dtype == np.float32:
        return weight.bias.astype(np.float64)
    real: Array = weight.bias * (np.float64(read_grid(site.reads).scale) * weight.scale.astype(np.float64))
    return real


def rebaked(site: SiteScheme, reads: Mapping[str, Edge], codes: Array, scale: Array, bias: Array) -> BakedWeight:
    """The weight behind these grids; scale: float32 [co]; bias: float64 [co], real.

    Raises AccumulatorError where codes could leave the accumulator.
    """
    weight, x = baked(site), read_grid(reads)
    codes = codes.astype(weight.type.dtype)
    if weight.bias.dtype == np.float32:
        return replace(weight, codes=codes, scale=scale, bias=bias.astype(np.float32))
    offset = quantise_bias(bias, x.scale, scale, x, weight.type)
    require_accumulator(codes, offset, x, weight.type, f"node '{site.nodes[0]}'")
    return replace(weight, codes=codes, scale=scale, bias=offset)


def moved(edges: Mapping[str, Edge], owners: Mapping[str, str], grids: Mapping[OwnGrid, Grid]) -> dict[str, Edge]:
    """The edges, those on one of these grids on its new one."""
    found = dict(edges)
    for name, edge in edges.items():
        if isinstance(edge, Grid) and name in owners:
            found[name] = grids.get((owners[name], edge), edge)
    return found


def together(start: Scheme, parts: Sequence[Scheme]) -> Scheme:
    """A scheme with what was learnt of its parts: weights, and grids of theirs wherever they stand."""
    learnt = {site.nodes: site for part in parts for site in part.sites}
    grids: dict[OwnGrid, Grid] = {}
    for site in start.sites:
        tuned = learnt.get(site.nodes, site)
        for before, after in ((site.reads, tuned.reads), (site.writes, tuned.writes)):
            for name, edge in before.items():
                new = after[name]
                if isinstance(edge, Grid) and isinstance(new, Grid) and new != edge:
                    grids[start.owners[name], edge] = new
    sites = []
    for site in start.sites:
        reads, writes = (moved(edges, start.owners, grids) for edges in (site.reads, site.writes))
        weight = learnt.get(site.nodes, site).weight
        sites.append(replace(site, reads=reads, writes=writes, weight=weight))
    return Scheme(tuple(sites), start.owners)


def fixes(place: Site) -> bool:
    """Whether the arithmetic of a fused node fixes the grid it writes."""
    fused, site = place
    op = op_of(fused.node)
    return site.form is Form.INTEGER and op is not None and op.fixed(fused.node, S16, 1.0) is not None
