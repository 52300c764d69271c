"""Volumes become pictures, and activations go before movers, without a change of what is computed."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import compiled
from frontend_way import simplified
from quantised import quantised

from axbuild.toolchain.rewrites.activation_first import ActivationFirst
from axbuild.toolchain.rewrites.fold_depth import ConvDepth, ConvTransposeDepth, GlobalPoolDepth, PoolDepth
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

VOLUME = (("x", [2, 4, 5, 6, 7]),)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"pads": [1, 1, 0, 2, 0, 1], "strides": [2, 1, 2]},
        {"dilations": [2, 1, 2], "pads": [2, 1, 1, 2, 1, 1]},
        {"group": 2, "strides": [1, 2, 1]},
        {"group": 4, "pads": [0, 1, 1, 1, 1, 1]},
    ],
    ids=str,
)
def test_a_convolution_over_three_axes_is_one_over_two_of_more_channels(given):
    weights = {"w": normal(8, 4 // given.get("group", 1), 3, 2, 3), "b": normal(8)}
    after, _ = rewritten(ConvDepth(), model([node("Conv", ["x", "w", "b"], ["y"], **given)], weights, inputs=VOLUME))
    assert op_types(after).count("Conv") == 1
    assert op_types(after)[-2:] == ["Reshape", "Transpose"]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"strides": [2, 2, 2], "pads": [1, 1, 0, 1, 0, 1]},
        {"strides": [3, 1, 2], "output_padding": [1, 0, 1], "pads": [1, 0, 1, 1, 0, 1]},
        {"group": 2, "strides": [2, 1, 2], "pads": [1, 0, 1, 2, 1, 0]},
        {"group": 4, "strides": [2, 2, 1], "output_padding": [1, 1, 0], "pads": [2, 1, 1, 1, 1, 1]},
    ],
    ids=str,
)
def test_a_transposed_convolution_over_three_axes_is_one_over_two_of_more_channels(given):
    group = given.get("group", 1)
    weights = {"w": normal(4, 3, 4, 2, 3), "b": normal(3 * group)}
    before = model([node("ConvTranspose", ["x", "w", "b"], ["y"], **given)], weights, inputs=VOLUME)
    after, _ = rewritten(ConvTransposeDepth(), before)
    assert op_types(after).count("ConvTranspose") == 1


def test_a_convolution_along_the_depth_alone_moves_nothing_but_shapes():
    given = {"pads": [1, 0, 0, 1, 0, 0], "strides": [2, 1, 1]}
    before = model([node("Conv", ["x", "w"], ["y"], **given)], {"w": normal(8, 4, 3, 1, 1)}, inputs=VOLUME)
    after, _ = rewritten(ConvDepth(), before)
    assert op_types(after) == ["Reshape", "Conv", "Reshape"]


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil", [0, 1])
def test_a_pooling_over_three_axes_is_two(op_type, ceil):
    given = {"kernel_shape": [2, 3, 2], "strides": [2, 2, 3], "ceil_mode": ceil}
    after, _ = rewritten(PoolDepth(), model([node(op_type, ["x"], ["y"], **given)], inputs=VOLUME))
    assert op_types(after) == ["Reshape", op_type, "Reshape", op_type, "Reshape"]


@pytest.mark.parametrize("op_type", ["GlobalMaxPool", "GlobalAveragePool"])
def test_global_pooling_of_a_volume_is_that_of_a_picture(op_type):
    after, _ = rewritten(GlobalPoolDepth(), model([node(op_type, ["x"], ["y"])], inputs=VOLUME))
    assert op_types(after) == ["Reshape", op_type, "Reshape"]


def test_a_small_video_net_is_whole_in_integers():
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 6),
        node("Relu", ["c"], ["r"]),
        node("AveragePool", ["r"], ["a"], kernel_shape=[3, 3, 3], pads=[1] * 6, strides=[1, 2, 2]),
        node("GlobalAveragePool", ["a"], ["y"]),
    ]
    before = model(nodes, {"w": normal(8, 4, 3, 3, 3)}, inputs=(("x", [1, 4, 5, 6, 7]),))
    after = simplified(before)
    result = quantised(after, [{"x": normal(1, 4, 5, 6, 7)}])
    assert result.float_ops() == []
    assert result.kinds().count("AxQuantizedConv") == 1
    assert_same_results(before, after)


def test_an_activation_behind_movers_goes_into_the_convolution():
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("DepthToSpace", ["c"], ["d"], blocksize=2, mode="CRD"),
        node("Transpose", ["d"], ["t"], perm=[0, 2, 3, 1]),
        node("LeakyRelu", ["t"], ["y"], alpha=0.1),
    ]
    after, _ = rewritten(ActivationFirst(), model(nodes, {"w": normal(8, 3, 1, 1)}))
    assert op_types(after) == ["Conv", "LeakyRelu", "DepthToSpace", "Transpose"]


def test_an_activation_stays_where_others_read_what_was_moved():
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        node("Relu", ["t"], ["y"]),
    ]
    after, reasons = rewritten(ActivationFirst(), model(nodes, {"w": normal(8, 3, 1, 1)}, outputs=("y", "t")))
    assert op_types(after) == ["Conv", "Transpose", "Relu"]
    assert list(reasons.values()) == ["Relu is not behind movers of a weighted sum alone"]


FILTERS = np.random.default_rng(4).standard_normal((2, 3, 3, 3, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Conv", ["x", "w"], ["y"], name="conv", pads=[1] * 6)],
        [node("MaxPool", ["x"], ["y"], name="pool", kernel_shape=[2, 2, 2], strides=[2, 2, 2])],
        [node("ConvTranspose", ["x", "t"], ["y"], name="conv", strides=[2, 2, 2])],
    ],
    ids=lambda nodes: nodes[0].op_type,
)
def test_volumes_of_two_samples_in_a_batch_stay_apart(nodes):
    weights = {"w": FILTERS, "t": FILTERS[:, :, :2, :2, :2].transpose(1, 0, 2, 3, 4)}
    done = simplified(model(nodes, weights, inputs=(("x", [1, 3, 4, 6, 6]),)))
    samples = [{"x": normal(1, 3, 4, 6, 6 + more)[..., :6]} for more in (0, 1)]
    result = quantised(done, samples)
    both = compiled(done, result, batches=(1, 2)).run(None, {"x": np.concatenate([one["x"] for one in samples])})[0]
    assert both.tobytes() == b"".join(result.run(one)[0].tobytes() for one in samples)
