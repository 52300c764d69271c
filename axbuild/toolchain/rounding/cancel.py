"""Codes of a weight whose errors cancel on what the weight is multiplied with.

Frantar et al., GPTQ (2023): a row's elements are rounded one after the other, and what is lost with each is taken up by
those still to be rounded, as far as their inputs move together.
"""

from __future__ import annotations

import numpy as np

from axbuild.toolchain.graph import Array

RIDGE = 0.1
"""of the inputs' mean variance, added to each: what moved together on a few samples may not do so elsewhere"""
TOGETHER = 64
"""elements of a row that are rounded before what follows is brought up to date"""


def cancelling(weight: Array, steps: Array, highest: int, covariance: Array) -> Array:
    """float64 [g, r, n]: the codes of g groups of r rows. weight: reals [g, r, n]; steps: [g, r]; covariance: of the n
    inputs of each group, [g, n, n]."""
    size = weight.shape[2]
    ridge = RIDGE * np.trace(covariance, axis1=1, axis2=2) / size
    added = np.where(ridge > 0.0, ridge, 1.0)[:, np.newaxis, np.newaxis] * np.eye(size)
    factor = np.linalg.cholesky(np.linalg.inv(covariance + added)).swapaxes(1, 2)
    left, codes = weight.copy(), np.empty_like(weight)
    for start in range(0, size, TOGETHER):
        stop = min(start + TOGETHER, size)
        errors = np.empty((*weight.shape[:2], stop - start))
        for place in range(start, stop):
            column = left[:, :, place]
            codes[:, :, place] = np.clip(np.rint(column / steps), -highest, highest)
            error = (column - codes[:, :, place] * steps) / factor[:, place, place, np.newaxis]
            left[:, :, place + 1 : stop] -= error[:, :, np.newaxis] * factor[:, np.newaxis, place, place + 1 : stop]
            errors[:, :, place - start] = error
        left[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    return codes
