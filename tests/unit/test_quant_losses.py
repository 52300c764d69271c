"""Channels that quantisation silences are told with their number, the cause and a way out; healthy nets are not."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from quantised import Net, quantised

from axbuild.errors import AxWarning
from axbuild.toolchain.quant.losses import MOST_TOLD
from axbuild.toolchain.quant.precision import LayerConfig


def told(model: onnx.ModelProto, samples, *rules: LayerConfig) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantised(model, samples, rules=rules)
    found = [one.message for one in caught if isinstance(one.message, AxWarning)]
    assert {one.code for one in found} <= {"AX361"}
    return [one.sentence for one in found]


def loud_bias(size: float = 1000) -> Net:
    """Six channels that live beside a bias without weights."""
    n = Net(1, 3, 8, 8)
    weight = n.rng.normal(0, 0.3, (7, 3, 1, 1))
    weight[0] = 0
    n.add("Conv", ["x", n.constant("w", weight), n.constant("b", np.eye(7)[0] * size)], "y")
    return n


def test_a_loud_bias_that_silences_every_other_channel_is_told():
    n = loud_bias()
    assert told(n.model("y"), n.samples(4)) == [
        "'y' (Conv) loses 6 of the 6 channels of 'y' that vary: they do so by less than 2 steps of its U8 codes, "
        "3.93 each, because channel 0 reaches 1e+03; bring the channels to one size in the model, or give 'y' "
        "data_type U16 in layer_configs"
    ]


def test_what_the_warning_advises_keeps_the_channels():
    n = loud_bias()
    assert told(n.model("y"), n.samples(4), LayerConfig(layer_name="y", data_type="U16")) == []


def test_16_bits_are_not_advised_to_who_has_them():
    n = loud_bias(1e6)
    (one,) = told(n.model("y"), n.samples(4), LayerConfig(layer_name="y", data_type="U16"))
    assert "of its U16 codes" in one
    assert one.endswith("; bring the channels to one size in the model")


def test_one_channel_far_above_the_others_is_told_with_the_operators_that_read_them():
    n = Net(1, 3, 8, 8)
    weight = n.rng.normal(0, 0.3, (8, 3, 1, 1))
    weight[5] *= 10_000
    n.add("Conv", ["x", n.constant("w", weight)], "c")
    n.add("Relu", ["c"], "r")
    n.conv("r", "y", 4, 8)
    first, *_ = told(n.model("y"), n.samples(4))
    assert first.startswith("'c' (Conv) loses 7 of the 8 channels of 'r' that vary")
    assert "because channel 5 reaches" in first
    assert first.endswith("or give 'y' data_type U16 in layer_configs")


def test_a_branch_that_a_wider_one_drowns_in_a_concat_is_told():
    n = Net(1, 3, 8, 8)
    for name, size in (("small", 0.01), ("middle", 1.0), ("large", 100.0)):
        n.add("Conv", ["x", n.weight(f"w_{name}", 4, 3, 1, 1, scale=size)], name)
    n.add("Concat", ["small", "middle", "large"], "y", axis=1)
    (one,) = told(n.model("y"), n.samples(4))
    assert one.startswith("'small' (Conv) loses 4 of the 4 channels of 'small' that vary")
    assert "which it shares with other tensors, reach from" in one


def test_a_constant_that_blows_up_a_grid_is_told_by_what_it_drowns():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    pads = n.constant("p", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    n.add("Pad", ["c", pads, n.constant("v", np.float32(1e5))], "y")
    (one,) = told(n.model("y"), n.samples(4))
    assert one.startswith("'c' (Conv) loses 4 of the 4 channels of 'c' that vary")
    assert "because 'y' fills with 1e+05" in one


def test_a_model_with_many_losses_has_a_few_warnings_and_a_count():
    n = loud_bias()
    for index in range(8):
        name = n.add("Conv", ["y" if not index else f"t{index - 1}", n.constant(f"i{index}", _each(7))], f"t{index}")
    found = told(n.model(name), n.samples(4))
    assert len(found) == MOST_TOLD
    assert [one.endswith("; and so at 4 more places") for one in found] == [False] * (MOST_TOLD - 1) + [True]


def _each(channels: int) -> np.ndarray:
    return np.eye(channels).reshape(channels, channels, 1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_channels_of_one_size_constant_ones_and_dead_ones_are_no_loss(seed):
    n = Net(1, 3, 8, 8, seed=seed)
    weight = n.rng.normal(0, 0.3, (16, 3, 3, 3))
    weight[3], weight[7] = 0, 1e-21
    n.add("Conv", ["x", n.constant("w", weight), n.constant("b", n.rng.normal(0, 1, 16))], "c")
    n.add("Relu", ["c"], "r")
    n.conv("r", "y", 8, 16)
    assert told(n.model("y"), n.samples(6)) == []
