"""How alike two tensors are, in sums whose bits no machine decides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class Sums:
    """Of two tensors a and b of one shape: the sums of a a, b b, a b and (a - b)(a - b), in float64, each exact but for
    one rounding: the order of additions, and with it the last bit, is the instruction set's own in numpy."""

    aa: float
    bb: float
    ab: float
    dd: float

    @property
    def cosine(self) -> float:
        return cosine_from(self.aa, self.bb, self.ab)


def cosine_from(aa: float, bb: float, ab: float) -> float:
    """Two zero tensors have 1, one of them 0."""
    # One root of the product: it is exactly 1 for equal tensors. float32 squares are far from overflow in float64.
    lengths = math.sqrt(aa * bb)
    if lengths == 0.0:
        return 1.0 if aa == bb else 0.0
    return max(-1.0, min(1.0, ab / lengths))


def sums_of(a: Array, b: Array) -> Sums | None:
    """None where a value is not finite."""
    x, y = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    d = x - y
    return Sums(math.fsum(x * x), math.fsum(y * y), math.fsum(x * y), math.fsum(d * d))


def cosine_of(a: Array, b: Array) -> float | None:
    """None where a value is not finite."""
    sums = sums_of(a, b)
    return None if sums is None else sums.cosine


def snr_db(signal: float, noise: float) -> float:
    """Signal to noise in dB of two energies; infinite without noise, minus infinite where there is nothing else."""
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf
