"""How much of a distribution the codes of a grid keep, by Kullback and Leibler."""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.functions import log
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.moments import below
from axbuild.toolchain.quant.ranges import Grids


def divergences(histogram: Histogram, grids: Grids) -> Array:
    """float64 [n]: sum p log(p / q) on each grid of 8-bit codes.

    p: the distribution over the bins that the grid reaches, what lies beyond counted with the outermost that hold any;
    q: that of the bins within reach after each code has spread its mass evenly over its bins that hold any.

    With bins of one code together, sum p log q is sum over codes of mass log(mass / bins), so running sums give it in a
    time that does not depend on the number of bins.
    """
    counts = histogram.counts.astype(np.float64)
    running = np.concatenate([[0.0], np.cumsum(counts)])
    holding = np.concatenate([[0], np.cumsum(counts > 0)])
    entropy = np.concatenate([[0.0], np.cumsum(_xlogx(counts))])
    codes = np.arange(grids.type.lo, grids.type.hi + 2) - 0.5
    edges = below(histogram, (codes - grids.zero[:, np.newaxis]) * grids.steps[:, np.newaxis])
    mass, bins = np.diff(running[edges], axis=1), np.diff(holding[edges], axis=1)
    first, last = edges[:, 0], edges[:, -1]
    inside, total = running[last] - running[first], running[-1]
    rows, levels = np.arange(len(edges)), np.where(mass > 0, mass, 1.0) / np.maximum(bins, 1)
    kept = np.cumsum(mass * log(levels), axis=1)[:, -1]
    own, reached = entropy[last] - entropy[first], bins.sum(axis=1)
    for outside, rank in ((running[first], 1), (running[-1] - running[last], reached)):
        end = np.minimum(np.searchsorted(holding, holding[first] + rank), len(counts)) - 1
        code = np.clip((edges <= end[:, np.newaxis]).sum(axis=1) - 1, 0, mass.shape[1] - 1)
        own = own + _xlogx(counts[end] + outside) - _xlogx(counts[end])
        kept = kept + outside * log(levels[rows, code])
    found: Array = (own - kept) / total + log(inside / total)
    return np.where(reached > 0, found, np.inf)


def _xlogx(counts: Array) -> Array:
    result: Array = counts * log(np.where(counts > 0, counts, 1.0))
    return result
