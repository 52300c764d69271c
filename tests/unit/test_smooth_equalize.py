"""Channels that a depthwise convolution reads, brought to one size: which, how far, and what it is good for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantised import Feeds, Net, Quantised, float_run, quantised, sqnr, write_samples

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.smooth.equalize import EqualizeParams, equalize
from smooth_world import write_optimised

SIZES = (1.0, 0.3, 1 / 16, 1 / 50)
"""of the channels in front of the depthwise convolution"""


def uneven(between: str = "", *, group: int = 4, **attributes: object) -> Net:
    """A convolution whose channels differ in size, perhaps an operator, and one that makes up for it."""
    net = Net(1, 3, 12, 12)
    sizes = np.array(SIZES).reshape(-1, 1, 1, 1)
    net.constant("w1", net.rng.normal(size=(4, 3, 1, 1)) * sizes)
    net.constant("b1", net.rng.normal(size=4) * sizes.reshape(-1) / 5)
    seen = net.add("Conv", ["x", "w1", "b1"], "inner", kernel_shape=[1, 1])
    if between:
        seen = net.add(between, [seen], "between", **attributes)
    second = net.rng.normal(size=(4, 4 // group, 3, 3))
    net.constant("w2", second / (sizes if group == 4 else sizes.reshape(1, -1, 1, 1)[:, : 4 // group]))
    net.add("Conv", [seen, "w2"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=group)
    return net


@dataclass(frozen=True)
class Evened:
    """What the stage wrote."""

    model: onnx.ModelProto
    statistics: Statistics
    folder: Path


def evened(model: onnx.ModelProto, samples: list[Feeds], work: Path) -> Evened:
    before = write_optimised(model, work / "before")
    quantised(model, samples).statistics.write(work / "statistics.msgpack")
    folders = [write_samples(work / "samples", [feeds["x"] for feeds in samples])]
    out = work / "out"
    out.mkdir()
    equalize(before, work / "statistics.msgpack", folders, out, params=EqualizeParams((InputData("x", "Numpy"),)))
    found = onnx.load(out / "optimized" / "optimized.onnx")
    return Evened(found, Statistics.read(out / "statistics.msgpack"), out)


def of_depthwise(result: Quantised, model: onnx.ModelProto, samples: list[Feeds]) -> float:
    """dB of the worst channel."""
    pairs = [(float_run(model, feeds)[0], result.run(feeds)[0]) for feeds in samples]
    wanted, ours = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return min(sqnr(wanted[:, channel], ours[:, channel]) for channel in range(wanted.shape[1]))


@pytest.mark.parametrize(
    ("between", "attributes"),
    [("", {}), ("Relu", {}), ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]})],
)
def test_every_channel_reaches_an_end_of_the_grid_and_the_model_is_the_same(between, attributes, tmp_path):
    net = uneven(between, **attributes)
    model, samples = net.model("y"), net.samples(6)
    done = evened(model, samples, tmp_path)
    before, after = quantised(model, samples).statistics, done.statistics
    tensor = "between" if between == "Relu" else "inner"
    seen, even = before.tensors[tensor], after.tensors[tensor]
    widths = seen.channel_maximum - seen.channel_minimum
    assert widths.max() > 10 * widths.min() > 0.0
    ends = even.channel_maximum / seen.whole.maximum
    if seen.whole.minimum < 0.0:
        ends = np.maximum(ends, even.channel_minimum / seen.whole.minimum)
    assert ends == pytest.approx(np.ones(4), rel=1e-5)
    assert (even.whole.minimum, even.whole.maximum) == pytest.approx((seen.whole.minimum, seen.whole.maximum), rel=1e-5)
    assert np.array_equal(after.tensors["y"].channel_maximum, before.tensors["y"].channel_maximum)
    for feeds in samples:
        assert float_run(done.model, feeds)[0] == pytest.approx(float_run(model, feeds)[0], rel=1e-4, abs=1e-4)


def test_the_quietest_channel_is_heard_behind_the_depthwise_convolution(tmp_path):
    """A channel a fiftieth as large has 5 codes of 255 without it; with all of them, what is left is the output's own
    rounding."""
    net = uneven()
    model, samples = net.model("y"), net.samples(6)
    done = evened(model, samples, tmp_path)
    before, after = (of_depthwise(quantised(each, samples), model, samples) for each in (model, done.model))
    assert before < 20.0
    assert after > before + 9.0


def test_the_codes_of_the_weights_stay(tmp_path):
    net = uneven()
    model, samples = net.model("y"), net.samples(6)
    before, after = (
        {site.nodes[0]: site.weight for site in quantised(each, samples).scheme.sites}
        for each in (model, evened(model, samples, tmp_path).model)
    )
    for name in ("inner", "y"):
        assert np.array_equal(before[name].codes, after[name].codes)


@pytest.mark.parametrize(
    ("between", "options"),
    [("", {"group": 1}), ("", {"group": 2}), ("HardSwish", {}), ("Sigmoid", {})],
    ids=["dense", "in two groups", "not linear", "Sigmoid"],
)
def test_what_is_no_such_pair_is_copied_as_it_is(between, options, tmp_path):
    net = uneven(between, **options)
    samples = net.samples(4)
    done = evened(net.model("y"), samples, tmp_path)
    assert (done.folder / "optimized/optimized.onnx").read_bytes() == (tmp_path / "before/optimized.onnx").read_bytes()
    assert (done.folder / "statistics.msgpack").read_bytes() == (tmp_path / "statistics.msgpack").read_bytes()


def test_a_tensor_that_somebody_else_reads_keeps_its_values(tmp_path):
    net = uneven()
    net.add("Sigmoid", ["inner"], "other")
    model, samples = net.model("y", "other"), net.samples(4)
    assert evened(model, samples, tmp_path).model == onnx.load(tmp_path / "before/optimized.onnx")


def test_a_silent_channel_stays_so(tmp_path):
    net = uneven()
    for tensor in net.initialisers[:2]:
        array = onnx.numpy_helper.to_array(tensor).copy()
        array[2] = 0.0
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    samples = net.samples(4)
    even = evened(net.model("y"), samples, tmp_path).statistics.tensors["inner"]
    assert (even.channel_minimum[2], even.channel_maximum[2]) == (0.0, 0.0)


@pytest.mark.parametrize("group", [1, 2])
def test_a_transposed_convolution_names_the_axes_of_its_own_weight(group):
    """[ci, co / group, ...]: with groups, no factor of a channel goes along one axis."""
    net = Net(1, 4, 5, 5)
    net.constant("w", net.rng.normal(size=(4, 6 // group, 2, 2)))
    net.constant("b", net.rng.normal(size=6))
    net.add("ConvTranspose", ["x", "w", "b"], "y", group=group, kernel_shape=[2, 2])
    (node,) = ir.from_proto(net.model("y")).graph
    op = op_of(node)
    assert op is not None
    gain, back = op.gain(node, 1), op.takes_back(node, 1)
    if group == 2:
        assert (gain, back) == (None, None)
    else:
        assert gain is not None
        assert back is not None
        assert (gain.constants, back.constants) == ({1: -3, 2: -1}, {1: -4})
