"""What the ops that multiply by constant weights and accumulate have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.arithmetic import multipliers_of, requantise_ratio
from axbuild.toolchain.kinds.codes import Edge, ElementType, Grid
from axbuild.toolchain.ops.base import BakedWeight, SettledNode


@dataclass(frozen=True)
class Accumulation:
    """What every multiply-accumulate kind takes beside its geometry; codes are the scheme's.

    multiplier: float64 [co], f64(sx) f64(sw) / f64(sy), or without the division where the output is FP32.
    """

    x: Grid
    w: ElementType
    y: Edge
    weight: Array
    bias: Array
    multiplier: Array
    lo: int
    hi: int
    w_zero: tuple[int, ...]


def accumulation(q: SettledNode, index: int = 0) -> Accumulation:
    """The accumulation over input `index` with the weight that the scheme has for the node."""
    x, y, baked = q.x(index), q.target, _weight(q)
    if isinstance(y, Grid):
        multiplier = multipliers_of(requantise_ratio(x.scale, baked.scale, y.scale), x, baked.type, y)
    else:
        multiplier = np.float64(x.scale) * baked.scale.astype(np.float64)
    return Accumulation(x, baked.type, y, baked.codes, baked.bias, multiplier, q.lo, q.hi, baked.zero)


def _weight(q: SettledNode) -> BakedWeight:
    if q.weight is None:
        raise ValueError(f"the scheme has no weight for '{q.name}'")
    return q.weight
