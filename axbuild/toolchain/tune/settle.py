"""What was learnt of a block becomes its part of the scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import quantise_bias, require_accumulator
from axbuild.toolchain.kinds.codes import Edge, Grid
from axbuild.toolchain.ops.base import BakedWeight
from axbuild.toolchain.quant.heads import integer_op, real_bias
from axbuild.toolchain.quant.scheme import Scheme, SiteScheme
from axbuild.toolchain.tune.blocks import Site
from axbuild.toolchain.tune.learn import LearntLayer, TunedLayer
from axbuild.toolchain.tune.program import OwnGrid


def layer_of(place: Site) -> TunedLayer:
    """A weighted node as it stands in the scheme."""
    fused, site = place
    weight, real = _baked(site), integer_op(fused).weight(fused.node)
    if real is None:
        raise ValueError(f"'{fused.name}' has no weight")
    scale = weight.scale.astype(np.float64)
    y = site.writes[fused.accumulated.name or ""]
    unit = y.scale * y.type.span / 255.0 if isinstance(y, Grid) else float(np.abs(real).max())
    return TunedLayer(real / _along(scale, real), scale, real_bias(fused, len(scale)), unit, weight.type.hi)


def float_weight(layer: TunedLayer) -> Array:
    return layer.weight * _along(layer.scale, layer.weight)


def _along(scale: Array, weight: Array) -> Array:
    return scale.reshape((-1,) + (1,) * (weight.ndim - 1))


def _baked(site: SiteScheme) -> BakedWeight:
    if site.weight is None:
        raise ValueError(f"'{site.nodes[0]}' has no weight in the scheme")
    return site.weight


def settled(
    scheme: Scheme, places: Sequence[Site], learnt: Sequence[LearntLayer], steps: Mapping[OwnGrid, float]
) -> Scheme:
    """The scheme with what was learnt; raises AccumulatorError where codes could leave the accumulator."""
    left = iter(learnt)
    sites = []
    for _, site in places:
        reads, writes = (_moved(edges, scheme.owners, steps) for edges in (site.reads, site.writes))
        weight = None if site.weight is None else _rebaked(site, reads, writes, next(left))
        sites.append(replace(site, reads=reads, writes=writes, weight=weight))
    return Scheme(tuple(sites), scheme.owners)


def _moved(edges: Mapping[str, Edge], owners: Mapping[str, str], steps: Mapping[OwnGrid, float]) -> dict[str, Edge]:
    found = dict(edges)
    for name, edge in edges.items():
        if isinstance(edge, Grid) and (scale := steps.get((owners.get(name, ""), edge))):
            found[name] = replace(edge, scale=scale)
    return found


def _rebaked(
    site: SiteScheme, reads: Mapping[str, Edge], writes: Mapping[str, Edge], learnt: LearntLayer
) -> BakedWeight:
    weight = _baked(site)
    (x,) = (edge for edge in reads.values() if isinstance(edge, Grid))
    codes = learnt.codes.astype(weight.type.dtype)
    if weight.bias.dtype == np.float32:
        return replace(weight, codes=codes, scale=learnt.scale, bias=learnt.bias.astype(np.float32))
    bias = quantise_bias(learnt.bias, x.scale, learnt.scale, x, weight.type)
    require_accumulator(codes, bias, x, weight.type, f"node '{site.nodes[0]}'")
    return replace(weight, codes=codes, scale=learnt.scale, bias=bias)
