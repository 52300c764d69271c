"""`method = "Auto"` on a model with a depthwise convolution, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quantised import Net

from net_workspace import AXMODEL, CHECK, PRECISION, QUANT, net_workspace
from zoo_workspace import Zoo

BUILD = f"""{QUANT}method = "Auto"
{AXMODEL}{CHECK}{PRECISION}"""


def workspace(root: Path) -> Zoo:
    """A convolution whose channels differ by 1 to 200, and a depthwise one that makes up for it."""
    net = Net(1, 3, 16, 16)
    sizes = np.geomspace(1.0, 1 / 200, 8).reshape(-1, 1, 1, 1)
    net.constant("w1", net.rng.normal(size=(8, 3, 3, 3)) * sizes)
    net.add("Conv", ["x", "w1"], "inner", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.constant("w2", net.rng.normal(size=(8, 1, 3, 3)) / sizes)
    net.add("Conv", ["inner", "w2"], "deep", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8)
    net.conv("deep", "y", 4, 8)
    return net_workspace(root, BUILD, net.model("y"), (sample["x"] for sample in net.samples(8)))


def test_even_channels_make_a_useless_model_a_good_one_and_observe_nothing_whole_again(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "workspace")
    with zoo.edited("m/BUILD.toml", 'method = "Auto"', 'method = "Auto"\nequalisation = "off"'):
        uneven = zoo.run("build", "//m:precision")
    assert uneven.code == 1
    assert "the cosine is 0.7" in uneven.out
    even = zoo.build("//m:precision")
    assert even.executed == ["equalize", "choose_ranges", "round_weights", "quantize", "measure", "judge"]
    assert float(even.out.partition("SNR ")[2].partition(" dB")[0]) > 30.0
    zoo.build("//m:check")
