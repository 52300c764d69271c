"""From what was observed of a tensor to the range of reals that its grid will hold: one function a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.quant.divergence import divergences
from axbuild.toolchain.quant.moments import Moments
from axbuild.toolchain.quant.ranges import Range, grids_of
from axbuild.toolchain.quant.statistics import Observed

SHARES = np.geomspace(1.0, 1.0 / 64.0, 64)
"""shares of an end of the observed range that a search tries"""

LEFT_OUT = 1e-4
"""of all values: what Percentile leaves outside, half of it at either end"""

DESTROYED = 4.0
"""A range is refused to KL whose squared error is so many times the smallest: 6 dB"""

CUTTING = 4.0
"""What rounding does to neighbours averages out in the sums behind them; cutting off pulls all one way"""

FEWEST = 1 << 14
"""values from which a distribution of 256 codes can be told"""


@dataclass(frozen=True)
class MethodRange:
    """A method's range; instead: why it is not the method's own, "" where it is."""

    measured: Range
    instead: str = ""


Calibrator = Callable[[Observed, ElementType], MethodRange]


def min_max(seen: Observed, kind: ElementType) -> MethodRange:
    """Everything that was observed."""
    return MethodRange(Range(seen.minimum, seen.maximum))


def percentile(seen: Observed, kind: ElementType) -> MethodRange:
    """All but the 0.01 % of the values, over all samples, that lie farthest out; of few values it leaves out none."""
    counts = seen.histogram.counts
    allowed = int(counts.sum() * (LEFT_OUT / 2))
    edges = np.ldexp(np.arange(len(counts) + 1) + float(seen.histogram.first), seen.histogram.exponent)
    below = int(np.searchsorted(np.cumsum(counts), allowed, side="right"))
    above = int(np.searchsorted(np.cumsum(counts[::-1]), allowed, side="right"))
    lo = float(edges[below]) if below else seen.minimum
    hi = float(edges[len(counts) - above]) if above else seen.maximum
    return MethodRange(Range(lo, hi))


def mean_squared_error(seen: Observed, kind: ElementType) -> MethodRange:
    """The range, of shares of the observed one's ends, whose grid has the smallest expected squared error."""
    return _with_least_error(seen, kind, 1.0)


def expected_damage(cutting: float) -> Calibrator:
    """As MSE, with the error of values that are cut off counted so many times."""
    return lambda seen, kind: _with_least_error(seen, kind, cutting)


def _with_least_error(seen: Observed, kind: ElementType, cutting: float) -> MethodRange:
    """In 16 bits everything observed: codes are finer than the bins, and a few loud values that the histogram's sample
    missed cost more than any step."""
    if kind.wide:
        return min_max(seen, kind)
    lows, highs = _ends(seen)
    lo, hi = (ends.ravel() for ends in np.meshgrid(lows, highs, indexing="ij"))
    best = int(np.argmin(Moments.of(seen).errors(grids_of(lo, hi, kind), cutting=cutting)))
    return MethodRange(Range(float(lo[best]), float(hi[best])))


def kullback_leibler(seen: Observed, kind: ElementType) -> MethodRange:
    """The range whose codes keep most of the distribution: the upper end is moved, then the lower one, then the upper.

    In 16 bits everything observed: codes are then finer than the bins, and nothing is lost but what is cut off. Where
    too few values were counted, or the squared error would be more than four times the smallest, MSE's range stands in.
    """
    if kind.wide:
        return min_max(seen, kind)
    safe = mean_squared_error(seen, kind).measured
    counted = int(seen.histogram.counts.sum())
    if counted < FEWEST:
        return MethodRange(safe, f"only {counted} values of it were counted, and a distribution takes {FEWEST}")
    found = _closest(seen, kind)
    ends = [np.array([end]) for end in (found.lo, safe.lo, found.hi, safe.hi)]
    grids = grids_of(np.concatenate(ends[:2]), np.concatenate(ends[2:]), kind)
    error, smallest = Moments.of(seen).errors(grids).tolist()
    if error > DESTROYED * smallest:
        return MethodRange(safe, f"its squared error would be {error / smallest:.3g} times the smallest")
    return MethodRange(found)


def _closest(seen: Observed, kind: ElementType) -> Range:
    lows, highs = _ends(seen)
    lo, hi = lows[:1], highs[:1]
    for moved in ("hi", "lo", "hi"):
        lo, hi = (lows if moved == "lo" else lo), (highs if moved == "hi" else hi)
        each = np.broadcast_arrays(lo, hi)
        best = int(np.argmin(divergences(seen.histogram, grids_of(each[0], each[1], kind))))
        lo, hi = each[0][best : best + 1], each[1][best : best + 1]
    return Range(float(lo[0]), float(hi[0]))


def _ends(seen: Observed) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends to try, the observed ones first; an end at or beyond zero is not moved."""
    lows = seen.minimum * SHARES if seen.minimum < 0.0 else np.array([seen.minimum])
    highs = seen.maximum * SHARES if seen.maximum > 0.0 else np.array([seen.maximum])
    return lows, highs


METHODS: dict[str, Calibrator] = {
    "MinMax": min_max,
    "Percentile": percentile,
    "MSE": mean_squared_error,
    "KL": kullback_leibler,
    "Auto": expected_damage(CUTTING),
}
