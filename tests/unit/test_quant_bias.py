"""Biases that take back what rounding the weights adds on average, and what of a model they make better."""

import numpy as np
import pytest
from quantised import Net, float_run, loaded, quantised

from axbuild.toolchain.ops.fused import fused_nodes
from axbuild.toolchain.quant.channel_means import ChannelMeans


def lost_by(net: Net, output: str, errors: np.ndarray, samples: list) -> np.ndarray:
    """What `lost` says of a first node whose weight is off by `errors` from codes that are all zero."""
    model = net.model(output)
    (fused, *_) = fused_nodes(loaded(model).graph)
    means = ChannelMeans.of(loaded(model).graph, quantised(model, samples).statistics)
    return means.lost(fused, errors, np.zeros_like(errors), np.ones(len(errors), np.float32))


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 2, 1, 0], "strides": [2, 1]},
        {"group": 2},
        {"pads": [2, 2, 2, 2], "dilations": [2, 2]},
    ],
    ids=str,
)
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_the_mean_of_a_convolution_is_exact_where_channels_are_even(op, attributes):
    """Channels of one value each, so that their means say all of them, padding included."""
    if op == "ConvTranspose" and "dilations" in attributes:
        attributes = {"pads": [1, 0, 0, 1], "strides": [2, 3]}
    group = attributes.get("group", 1)
    net = Net(1, 4, 7, 6)
    weight = net.rng.normal(0, 1, (6, 4 // group, 3, 3) if op == "Conv" else (4, 6 // group, 3, 3))
    net.add(op, ["x", net.constant("w", weight)], "y", **attributes)
    values = np.array([1.0, -2.0, 0.5, 3.0], np.float32).reshape(1, 4, 1, 1)
    feeds = {"x": np.broadcast_to(values, (1, 4, 7, 6)).copy()}
    (y,) = float_run(net.model("y"), feeds)
    laid_out = weight if op == "Conv" else by_output(weight, group)
    assert lost_by(net, "y", laid_out, [feeds]) == pytest.approx(y.mean(axis=(0, 2, 3)), rel=1e-5, abs=1e-5)


def by_output(weight: np.ndarray, group: int) -> np.ndarray:
    parts = [part.swapaxes(0, 1) for part in np.split(weight, group)]
    return np.concatenate(parts)


def test_the_mean_of_a_layer_is_exact():
    net = Net(5, 12)
    weight = net.rng.normal(0, 1, (12, 4))
    net.add("MatMul", ["x", net.constant("w", weight)], "y")
    samples = [{"x": net.rng.normal(1, 2, (5, 12)).astype(np.float32)} for _ in range(3)]
    means = np.stack([float_run(net.model("y"), feeds)[0] for feeds in samples]).mean(axis=(0, 1))
    assert lost_by(net, "y", np.ascontiguousarray(weight.T), samples) == pytest.approx(means, rel=1e-5)


def test_a_corrected_bias_keeps_the_mean_of_every_channel():
    net = Net(1, 32, 6, 6)
    net.conv("x", "y", 8, 32)
    samples = [{"x": net.rng.normal(5, 1, (1, 32, 6, 6)).astype(np.float32)} for _ in range(4)]
    model = net.model("y")
    shifts = []
    for corrected in (False, True):
        result = quantised(model, samples, corrected=corrected)
        pairs = [(result.run(feeds)[0], float_run(model, feeds)[0]) for feeds in samples]
        shifts.append(np.abs(np.mean([y - wanted for y, wanted in pairs], axis=(0, 1, 3, 4))).max())
    step = result.scale("y")
    assert shifts[1] < 0.1 * step < shifts[0]
