"""Pixels and channels that trade places are found in every spelling, and orders of channels go into weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from frontend_way import simplified

from axbuild.toolchain.rewrites.blocks import BlocksInOneOrder, MovesToBlocks, SlicesToBlocks
from axbuild.toolchain.rewrites.order_channels import OrderInputs, OrderOutputs
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

MAP = (("x", [1, 8, 4, 6]),)


def moves(apart, perm, out):
    nodes = [
        node("Reshape", ["x", "a"], ["r"]),
        node("Transpose", ["r"], ["t"], perm=perm),
        node("Reshape", ["t", "o"], ["y"]),
    ]
    return model(nodes, {"a": np.array(apart), "o": np.array(out)}, inputs=MAP)


@pytest.mark.parametrize(
    ("apart", "perm", "out", "found"),
    [
        ((1, 2, 2, 2, 4, 6), (0, 3, 4, 1, 5, 2), (1, 2, 8, 12), ["DepthToSpace"]),
        ((1, 2, 2, 2, 4, 6), (0, 1, 4, 2, 5, 3), (1, 2, 8, 12), ["Gather", "DepthToSpace"]),
        ((1, 8, 2, 2, 3, 2), (0, 3, 5, 1, 2, 4), (1, 32, 2, 3), ["SpaceToDepth"]),
        ((1, 8, 2, 2, 3, 2), (0, 1, 3, 5, 2, 4), (1, 32, 2, 3), ["SpaceToDepth", "Gather"]),
        ((1, 8, 2, 2, 3, 2), (0, 5, 3, 1, 2, 4), (1, 32, 2, 3), ["SpaceToDepth", "Gather"]),
        ((1, 4, 2, 4, 6), (0, 2, 1, 3, 4), (1, 8, 4, 6), ["Gather"]),
        ((1, 8, 2, 2, 3, 2), (0, 2, 4, 3, 5, 1), (1, 6, 4, 8), ["Reshape", "Transpose", "Reshape"]),
    ],
)
def test_moves_that_trade_pixels_for_channels_are_one_operator(apart, perm, out, found):
    after, _ = rewritten(MovesToBlocks(), moves(apart, perm, out))
    assert op_types(after) == found


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (3, 1, 0, 2)])
@pytest.mark.parametrize("at_once", [True, False])
def test_focus_is_space_to_depth(order, at_once):
    offsets = [list(itertools.product((0, 1), repeat=2))[place] for place in order]
    nodes, weights = [], {"two": np.array([2, 2]), "end": np.array([2**40, 99]), "axes": np.array([2, 3])}
    weights |= {"one2": np.array([2]), "one99": np.array([99]), "h": np.array([-2]), "w": np.array([3])}
    for row, column in offsets:
        name = f"s{row}{column}"
        if at_once:
            weights[name] = np.array([row, column])
            nodes.append(node("Slice", ["x", name, "end", "axes", "two"], [f"{name}y"]))
            continue
        weights |= {f"{name}r": np.array([row]), f"{name}c": np.array([column])}
        nodes.append(node("Slice", ["x", f"{name}r", "one99", "h", "one2"], [f"{name}m"]))
        nodes.append(node("Slice", [f"{name}m", f"{name}c", "one99", "w", "one2"], [f"{name}y"]))
    nodes.append(node("Concat", [f"s{row}{column}y" for row, column in offsets], ["y"], axis=1))
    after, _ = rewritten(SlicesToBlocks(), model(nodes, weights, inputs=MAP))
    assert op_types(after) == (["SpaceToDepth"] if order == (0, 1, 2, 3) else ["SpaceToDepth", "Gather"])


def test_one_pixel_twice_is_no_focus():
    nodes = [
        node("Slice", ["x", "s", "e", "a", "two"], ["p"]),
        node("Concat", ["p", "p", "p", "p"], ["y"], axis=1),
    ]
    weights = {"s": np.array([0, 0]), "e": np.array([9, 9]), "a": np.array([2, 3]), "two": np.array([2, 2])}
    _, reasons = rewritten(SlicesToBlocks(), model(nodes, weights, inputs=MAP))
    assert list(reasons.values()) == ["Concat does not join every pixel of a block"]


def test_depth_to_space_has_one_order():
    before = model([node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")], inputs=MAP)
    after, _ = rewritten(BlocksInOneOrder(), before)
    assert op_types(after) == ["Gather", "DepthToSpace"]


@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_an_order_of_outputs_goes_into_the_weights_through_activations(op_type):
    nodes = [
        node(op_type, ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("Gather", ["r", "i"], ["y"], axis=1),
    ]
    weights = {"w": normal(8, 8, 1, 1), "b": normal(8), "i": np.array([3, 1, 0, -1, 3])}
    after, _ = rewritten(OrderOutputs(), model(nodes, weights, inputs=MAP))
    assert op_types(after) == [op_type, "Relu"]


def test_an_order_of_inputs_goes_into_the_weights():
    nodes = [node("Gather", ["x", "i"], ["g"], axis=1), node("Conv", ["g", "w"], ["y"])]
    weights = {"w": normal(3, 8, 2, 2), "i": np.array([3, 1, 0, 7, 5, 6, 2, 4])}
    after, _ = rewritten(OrderInputs(), model(nodes, weights, inputs=MAP))
    assert op_types(after) == ["Conv"]


def test_a_pixel_shuffle_behind_a_convolution_needs_no_order():
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("DepthToSpace", ["c"], ["d"], blocksize=2, mode="CRD"),
        node("Relu", ["d"], ["y"]),
    ]
    before = model(nodes, {"w": normal(8, 8, 3, 3), "b": normal(8)}, inputs=MAP)
    after = simplified(before)
    assert op_types(after) == ["Conv", "Relu", "DepthToSpace"]
    assert_same_results(before, after)


def test_a_pixel_unshuffle_before_a_convolution_needs_no_order():
    before = moves((1, 8, 2, 2, 3, 2), (0, 1, 3, 5, 2, 4), (1, 32, 2, 3))
    before.graph.output[0].name = "z"
    before.graph.node.append(node("Conv", ["y", "w"], ["z"]))
    before.graph.initializer.append(model([], {"w": normal(4, 32, 1, 1)}).graph.initializer[0])
    after = simplified(before)
    assert op_types(after) == ["SpaceToDepth", "Conv"]
    assert_same_results(before, after)
