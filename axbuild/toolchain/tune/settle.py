"""What was learnt of a block becomes its part of the scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.heads import integer_op, real_bias
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.blocks import Site
from axbuild.toolchain.tune.learn import LearntLayer, TunedLayer
from axbuild.toolchain.tune.rebake import OwnGrid, baked, held_bias, moved, rebaked


def layer_of(place: Site) -> TunedLayer:
    """A weighted node as it stands in the scheme."""
    fused, site = place
    weight, real = baked(site), integer_op(fused).weight(fused.node)
    if real is None:
        raise ValueError(f"'{fused.name}' has no weight")
    scale = weight.scale.astype(np.float64)
    y = site.writes[fused.accumulated.name or ""]
    unit = y.scale * y.type.span / 255.0 if isinstance(y, Grid) else float(np.abs(real).max())
    bias = real_bias(fused, len(scale))
    return TunedLayer(real / _along(scale, real), scale, bias, held_bias(site), unit, weight.type.hi)


def float_weight(layer: TunedLayer) -> Array:
    return layer.weight * _along(layer.scale, layer.weight)


def _along(scale: Array, weight: Array) -> Array:
    return scale.reshape((-1,) + (1,) * (weight.ndim - 1))


def settled(
    scheme: Scheme, places: Sequence[Site], learnt: Sequence[LearntLayer], steps: Mapping[OwnGrid, float]
) -> Scheme:
    """The scheme with what was learnt; raises AccumulatorError where codes could leave the accumulator."""
    left = iter(learnt)
    grids = {own: replace(own[1], scale=scale) for own, scale in steps.items()}
    sites = []
    for _, site in places:
        reads, writes = (moved(edges, scheme.owners, grids) for edges in (site.reads, site.writes))
        weight = site.weight
        if weight is not None:
            layer = next(left)
            weight = rebaked(site, reads, layer.codes, layer.scale, layer.bias)
        sites.append(replace(site, reads=reads, writes=writes, weight=weight))
    return Scheme(tuple(sites), scheme.owners)
