"""A small net with a residual, for fine-tuning."""

from __future__ import annotations

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
