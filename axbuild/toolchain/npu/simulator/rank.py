"""The largest or smallest elements along an axis."""

from __future__ import annotations

import math

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.rank import RankAttr
from axbuild.toolchain.npu.simulator.base import Kernel


def rank(sources: list[Array], targets: list[Array], attr: RankAttr) -> None:
    """By a sort that keeps equal elements in their order."""
    x = sources[0].astype(np.float64 if sources[0].dtype.kind == "f" else np.int64)
    falling = -x if attr.largest else x
    falling = np.where(np.isnan(falling), math.inf, falling) if x.dtype.kind == "f" else falling
    order = np.argsort(falling, axis=attr.axis, kind="stable")
    places = np.take(order, range(attr.count), axis=attr.axis)
    targets[0][...] = places if attr.gives == "places" else np.take_along_axis(x, places, axis=attr.axis)


RANK = Kernel(rank, 1, RankAttr)
