"""What the ops that multiply by constant weights and accumulate have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import (
    WEIGHT_MAX,
    check_accumulator,
    multipliers_of,
    quantise_bias,
    quantise_weight,
    requantise_ratio,
    weight_scales,
)
from axbuild.toolchain.ops.base import Baked, Grid, Settled

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Accumulation:
    """Everything a multiply-accumulate kind takes beside its geometry.

    weight: int8 [co, ...]; bias: int32 [co]; multiplier: float64 [co].
    """

    weight: Array
    bias: Array
    multiplier: Array
    baked: tuple[Baked, ...]


def accumulate(q: Settled, x: Grid, weight: Array, bias: Array, names: tuple[str, tuple[str, ...]]) -> Accumulation:
    """Quantise float64 `weight` [co, ...] and `bias` [co]; names: of the weight tensor, and of those in the bias."""
    scale, raised = weight_scales(weight, bias, x.scale, q.y.scale)
    codes = quantise_weight(weight, scale)
    offset = quantise_bias(bias, x.scale, scale)
    check_accumulator(codes, offset, x.zero, f"node '{q.name}'")
    ratio = multipliers_of(requantise_ratio(x.scale, scale, q.y.scale))
    channels = tuple(int(channel) for channel in np.flatnonzero(raised))
    baked = [Baked(names[0], scale.astype(np.float64), -WEIGHT_MAX, WEIGHT_MAX, 8, raised=channels)]
    for name in names[1]:
        baked.append(Baked(name, np.float64(x.scale) * scale, int(INT32.min), int(INT32.max), 32, passive=True))
    return Accumulation(codes, offset, ratio, tuple(baked))


def total_bias(q: Settled, own: Array | None, channels: int) -> Array:
    """float64 [channels]: the node's own bias plus what the site swallowed."""
    bias = np.zeros(channels) if own is None else np.broadcast_to(own.astype(np.float64), (channels,)).copy()
    return bias if q.site.addend is None else bias + q.site.addend
