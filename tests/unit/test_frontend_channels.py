"""Channels that carry nothing leave the weights beside them, and the model computes what it did."""

import numpy as np
import pytest

from axbuild.toolchain.rewrites.drop_channels import DropChannels
from frontend_world import assert_same_results, describe, model, node, normal, optimized, rewritten


def conv(name, source, **settings):
    return node("Conv", [source, f"{name}.w", f"{name}.b"], [name], name=name, **settings)


def weights(**shapes):
    """Of layers, with their biases."""
    return {f"{name}.{part}": array for name, shape in shapes.items() for part, array in _layer(shape)}


def _layer(shape):
    return ("w", normal(*shape)), ("b", normal(shape[0]))


def sizes(proto):
    """Shapes of the weights that are left, by layer."""
    shapes = {tensor.name: tensor.dims for tensor in proto.graph.initializer}
    return {item.name: list(shapes[item.input[1]]) for item in proto.graph.node if item.op_type in ("Conv", "Gemm")}


def narrowed(nodes, arrays, **ends):
    before = model(nodes, arrays, **ends)
    after, reasons = rewritten(DropChannels(), before)
    assert_same_results(before, after, 1e-5)
    return after, reasons


def test_a_channel_of_weights_0_leaves_what_it_holds_in_the_next_bias():
    arrays = weights(a=(6, 3, 3, 3), b=(4, 6, 1, 1))
    arrays["a.w"][[1, 4]] = 0
    after, _ = narrowed([conv("a", "x"), node("Relu", ["a"], ["r"], name="r"), conv("b", "r")], arrays, outputs=("b",))
    assert sizes(after) == {"a": [4, 3, 3, 3], "b": [4, 4, 1, 1]}
    assert describe(after) == [("Conv", "a"), ("Relu", "r"), ("Conv", "b")]


def test_a_channel_that_nobody_reads_goes_whatever_it_holds():
    arrays = weights(a=(6, 3, 3, 3), b=(4, 6, 3, 3))
    arrays["b.w"][:, 2] = 0
    nodes = [conv("a", "x"), node("HardSwish", ["a"], ["h"], name="h"), conv("b", "h", pads=[1, 1, 1, 1])]
    after, _ = narrowed(nodes, arrays, outputs=("b",))
    assert sizes(after) == {"a": [5, 3, 3, 3], "b": [4, 5, 3, 3]}


def test_a_channel_stays_where_the_next_layer_pads_and_its_value_is_not_0():
    arrays = weights(a=(3, 3, 3, 3), b=(4, 3, 3, 3))
    arrays["a.w"][[0, 1]] = 0
    arrays["a.b"][:] = [-1, 1, 1]
    nodes = [conv("a", "x"), node("Relu", ["a"], ["r"], name="r"), conv("b", "r", pads=[1, 1, 1, 1])]
    after, _ = narrowed(nodes, arrays, outputs=("b",))
    assert sizes(after) == {"a": [2, 3, 3, 3], "b": [4, 2, 3, 3]}


def test_a_depthwise_layer_between_loses_its_channels_and_may_be_what_makes_them_constant():
    arrays = weights(a=(6, 3, 1, 1), d=(6, 1, 3, 3), b=(4, 6, 1, 1))
    arrays["a.w"][0], arrays["a.b"][0] = 0, -1
    arrays["d.w"][5] = 0
    nodes = [
        conv("a", "x"),
        node("Clip", ["a", "lo", "hi"], ["c"], name="c"),
        conv("d", "c", group=6, pads=[1, 1, 1, 1]),
        node("MaxPool", ["d"], ["m"], name="m", kernel_shape=[2, 2], strides=[2, 2]),
        conv("b", "m"),
    ]
    bounds = {"lo": np.float32(0), "hi": np.float32(6)}
    after, _ = narrowed(nodes, arrays | bounds, outputs=("b",))
    assert sizes(after) == {"a": [4, 3, 1, 1], "d": [4, 1, 3, 3], "b": [4, 4, 1, 1]}


def test_what_is_gone_behind_makes_channels_before_it_unread():
    arrays = weights(a=(5, 8), b=(6, 5), c=(4, 6))
    arrays["b.w"][0], arrays["b.w"][1:, 3] = arrays["b.w"][0], 0
    arrays["c.w"][:, 0] = 0
    nodes = [
        node("Gemm", [s, f"{n}.w", f"{n}.b"], [n], name=n, transB=1) for n, s in (("a", "x"), ("b", "a"), ("c", "b"))
    ]
    after, _ = narrowed(nodes, arrays, inputs=(("x", [2, 8]),), outputs=("c",))
    assert sizes(after) == {"a": [4, 8], "b": [5, 4], "c": [4, 5]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "every channel is live"),
        ({"b.w": np.zeros((4, 6, 1, 1), np.float32)}, "no channel is live"),
    ],
)
def test_a_layer_of_live_channels_or_of_none_stays(change, reason):
    nodes = [conv("a", "x"), conv("b", "a")]
    after, reasons = narrowed(nodes, weights(a=(6, 3, 3, 3), b=(4, 6, 1, 1)) | change, outputs=("b",))
    assert reasons["b"] == reason
    assert sizes(after)["a"] == [6, 3, 3, 3]


def test_a_channel_that_others_read_as_well_stays():
    arrays = weights(a=(6, 3, 3, 3), b=(4, 6, 1, 1))
    arrays["b.w"][:, 0] = 0
    after, reasons = narrowed([conv("a", "x"), conv("b", "a")], arrays, outputs=("b", "a"))
    assert sizes(after)["a"] == [6, 3, 3, 3]
    assert reasons["b"] == "Conv output has another reader"


@pytest.mark.parametrize("seed", range(6))
def test_pruned_nets_keep_their_results(seed, tmp_path):
    """Chains of layers with any activation and pool between, of which some rows and columns are 0."""
    rng = np.random.default_rng(seed)
    nodes, arrays, source, channels, side = [], {}, "x", 3, 24
    for index in range(6):
        name, out, kernel = f"l{index}", int(rng.integers(3, 9)), int(rng.choice([1, 3]))
        pad = int(rng.integers(2)) if kernel == 3 else 0
        w, b = rng.standard_normal((out, channels, kernel, kernel)), rng.standard_normal(out)
        w[rng.random(out) < 0.3] = 0
        w[:, rng.random(channels) < 0.2] = 0
        w[0, 0] = 1
        arrays |= {f"{name}.w": w.astype(np.float32) / 4, f"{name}.b": b.astype(np.float32)}
        act = str(rng.choice(["Relu", "HardSwish", "Sigmoid", "LeakyRelu", "Softplus", "Elu"]))
        nodes += [conv(name, source, pads=[pad] * 4), node(act, [name], [f"{name}.a"], name=f"{name}.a")]
        source, channels, side = f"{name}.a", out, side - kernel + 1 + 2 * pad
        if rng.random() < 0.4 and side > 6:
            pool = str(rng.choice(["AveragePool", "MaxPool"]))
            nodes.append(node(pool, [source], [f"{name}.p"], name=f"{name}.p", kernel_shape=[2, 2], pads=[1, 1, 0, 0]))
            source = f"{name}.p"
    before = model(nodes, arrays, inputs=(("x", [1, 3, 24, 24]),), outputs=(source,))
    after = optimized(before, tmp_path)
    assert_same_results(before, after, 1e-5)
    assert sum(np.prod(size) for name, size in sizes(after).items() if name in sizes(before)) < sum(
        np.prod(size) for size in sizes(before).values()
    )
