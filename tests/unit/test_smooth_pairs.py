"""Which tensors SmoothQuant takes, and that the float model computes the same numbers behind it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from quantised import Net, float_run, quantised

from smooth_world import LOUD, norm_net, smoothed


def largest(model: onnx.ModelProto, feeds: list[dict[str, np.ndarray]], tensor: str) -> np.ndarray:
    """[channels along the last axis]"""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    found = np.concatenate([float_run(shown, feed)[0].reshape(-1, 8) for feed in feeds])
    return np.abs(found).max(axis=0)


@pytest.mark.parametrize("windows", [False, True])
def test_a_loud_channel_of_a_norm_goes_into_the_weights(windows: bool) -> None:
    net = norm_net(windows=windows)
    samples = net.samples(4)
    done = smoothed(net.model("y"), samples)
    assert [(pair.tensor, pair.readers, pair.apart) for pair in done.pairs] == [
        ("norm", ("cut",) if windows else ("a", "b"), False)
    ]
    loud, even = (largest(model, samples, "norm") for model in (done.before, done.after))
    assert loud[LOUD] > 20 * np.median(loud)
    assert even[LOUD] < 8 * np.median(even)
    for feeds in samples:
        assert np.array_equal(float_run(done.before, feeds)[0], float_run(done.after, feeds)[0])


def test_a_norm_that_a_residual_reads_too_is_there_twice() -> None:
    net = norm_net(residual=True)
    samples = net.samples(4)
    done = smoothed(net.model("y", "sum"), samples)
    (pair,) = done.pairs
    assert pair.apart
    assert pair.readers == ("a", "b")
    assert np.array_equal(largest(done.before, samples, "norm"), largest(done.after, samples, "norm"))
    assert largest(done.after, samples, "norm_smoothed")[LOUD] < largest(done.after, samples, "norm")[LOUD] / 4
    for feeds in samples:
        for ours, theirs in zip(float_run(done.after, feeds), float_run(done.before, feeds), strict=True):
            assert np.array_equal(ours, theirs)


def test_outliers_are_gone_from_the_codes_as_well() -> None:
    net = norm_net()
    samples = net.samples(4)
    done = smoothed(net.model("y"), samples)
    before, after = (quantised(model, samples).scale("norm") for model in (done.before, done.after))
    assert after < before / 4


def layer_net(*between: str) -> Net:
    """A layer with a loud channel, one or more operators, and a layer."""
    net = Net(1, 6, 8)
    first = net.rng.normal(size=(8, 8)).astype(np.float32)
    first[:, LOUD] *= 100.0
    net.constant("w1", first)
    net.constant("b1", net.rng.normal(size=8).astype(np.float32))
    net.add("MatMul", ["x", "w1"], "product")
    net.add("Add", ["product", "b1"], "sum")
    seen = "sum"
    for op_type in between:
        net.add(op_type, [seen], op_type)
        seen = op_type
    net.constant("w2", net.rng.normal(size=(8, 4)).astype(np.float32))
    net.add("MatMul", [seen, "w2"], "y")
    return net


@pytest.mark.parametrize(("between", "taken"), [((), ["sum"]), (("Relu",), ["Relu"]), (("Gelu",), []), (("Neg",), [])])
def test_what_stands_between_two_layers_decides(between: tuple[str, ...], taken: list[str]) -> None:
    net = layer_net(*between)
    samples = net.samples(4)
    done = smoothed(net.model("y"), samples)
    assert [pair.tensor for pair in done.pairs] == taken
    for feeds in samples:
        assert np.array_equal(float_run(done.before, feeds)[0], float_run(done.after, feeds)[0])


def test_a_larger_threshold_takes_at_least_as_many() -> None:
    net = norm_net()
    found = [len(smoothed(net.model("y"), net.samples(4), threshold).pairs) for threshold in (0.0, 0.1, 0.5, 1.0)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0, 1)


def test_an_even_tensor_is_left_alone_until_all_are_asked_for() -> None:
    net = Net(1, 6, 8)
    net.constant("w1", net.rng.normal(size=(8, 8)).astype(np.float32))
    net.add("MatMul", ["x", "w1"], "inner")
    net.constant("w2", net.rng.normal(size=(8, 4)).astype(np.float32))
    net.add("MatMul", ["inner", "w2"], "y")
    assert smoothed(net.model("y"), net.samples(4), 0.2).pairs == []


def test_convolutions_are_pairs_as_well() -> None:
    net = Net(1, 3, 8, 8)
    weight = net.rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    weight[LOUD] *= 50.0
    net.constant("w", weight)
    net.add("Conv", ["x", "w"], "inner", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.add("MaxPool", ["inner"], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    net.conv("pooled", "y", 5, 4, 1)
    samples = net.samples(4)
    done = smoothed(net.model("y"), samples, 1.0)
    assert {pair.tensor for pair in done.pairs} == {"inner"}
    for feeds in samples:
        assert np.array_equal(float_run(done.before, feeds)[0], float_run(done.after, feeds)[0])
