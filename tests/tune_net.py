"""A small net with a residual, for fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from quantised import Net


def residual_net() -> Net:
    """Conv, Relu; two more with a residual around them; one behind."""
    net = Net(1, 3, 8, 8)
    net.conv("x", "first", 8, 3, 3, pads=[1, 1, 1, 1])
    net.add("Relu", ["first"], "seen")
    net.conv("seen", "wide", 16, 8, 1)
    net.add("Relu", ["wide"], "inner")
    net.conv("inner", "narrow", 8, 16, 3, pads=[1, 1, 1, 1])
    net.add("Add", ["narrow", "seen"], "sum")
    net.conv("sum", "y", 10, 8, 1)
    return net


def samples_with_an_outlier(net: Net) -> Iterator[np.ndarray]:
    """One value in each, which MSE cuts off."""
    for sample in net.samples(8):
        sample["x"][0, 0, 0, 0] *= 40.0
        yield sample["x"]
