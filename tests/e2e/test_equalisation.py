"""`method = "Auto"` on a model with a depthwise convolution, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from quantised import Net

from zoo_workspace import Zoo

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples"
format = "Numpy"
size = -1

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
method = "Auto"

[[axmodel]]
name = "axmodel"
quant = ":quant"

[[check]]
name = "check"
axmodel = ":axmodel"
level = "equal"

[[precision_check]]
name = "precision"
quant = ":quant"
"""


def workspace(root: Path) -> Zoo:
    """A convolution whose channels differ by 1 to 200, and a depthwise one that makes up for it."""
    (root / "m/samples").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/BUILD.toml").write_text(BUILD)
    net = Net(1, 3, 16, 16)
    sizes = np.geomspace(1.0, 1 / 200, 8).reshape(-1, 1, 1, 1)
    net.constant("w1", net.rng.normal(size=(8, 3, 3, 3)) * sizes)
    net.add("Conv", ["x", "w1"], "inner", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.constant("w2", net.rng.normal(size=(8, 1, 3, 3)) / sizes)
    net.add("Conv", ["inner", "w2"], "deep", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8)
    net.conv("deep", "y", 4, 8)
    onnx.save(net.model("y"), root / "m/net.onnx")
    for number, sample in enumerate(net.samples(8)):
        np.save(root / f"m/samples/{number}.npy", sample["x"])
    return Zoo(root, root.parent / "cache")


def test_even_channels_make_a_useless_model_a_good_one_and_observe_nothing_whole_again(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "workspace")
    with zoo.edited("m/BUILD.toml", 'method = "Auto"', 'method = "Auto"\nequalisation = "off"'):
        uneven = zoo.run("build", "//m:precision")
    assert uneven.code == 1
    assert "the cosine is 0.7" in uneven.out
    even = zoo.build("//m:precision")
    assert even.executed == ["equalize", "calibrate", "quantize", "measure", "judge"]
    assert float(even.out.partition("SNR ")[2].partition(" dB")[0]) > 30.0
    zoo.build("//m:check")
