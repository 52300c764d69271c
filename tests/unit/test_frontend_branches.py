"""Convolutions that are added or follow each other are one where that costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from axbuild.toolchain.rewrites.fuse_branches import FuseBranches
from axbuild.toolchain.rewrites.fuse_convs import FuseConvs
from frontend_world import assert_same_results, model, node, normal, op_types, optimized, rewritten

IMAGE = (("x", [1, 4, 9, 8]),)


def conv(name, weight, source="x", target=None, **settings):
    return node("Conv", [source, weight, f"{name}.b"], [target or name], name=name, **settings)


def branches(first, second, *, how="Add"):
    """Both are (shape of the weights, settings)."""
    (v, settings), (w, others) = first, second
    weights = {"v": normal(*v), "w": normal(*w), "a.b": normal(v[0]), "c.b": normal(w[0]) + 1}
    nodes = [conv("a", "v", **settings), conv("c", "w", **others), node(how, ["a", "c"], ["y"], name="sum")]
    return model(nodes, weights, inputs=IMAGE)


SAME = {"pads": [1, 1, 1, 1]}
PAIRS = {
    "two of one size": (((6, 4, 3, 3), SAME), ((6, 4, 3, 3), SAME)),
    "single pixels beside": (((6, 4, 3, 3), SAME), ((6, 4, 1, 1), {})),
    "a scale a channel beside": (((4, 4, 3, 3), SAME), ((4, 1, 1, 1), {"group": 4})),
    "depthwise": (((4, 1, 3, 3), {**SAME, "group": 4}), ((4, 1, 1, 1), {"group": 4})),
    "groups within groups": (((8, 2, 3, 3), {**SAME, "group": 2}), ((8, 1, 1, 1), {"group": 4})),
    "strided": (((6, 4, 3, 3), {**SAME, "strides": [2, 2]}), ((6, 4, 1, 1), {"strides": [2, 2]})),
    "a large kernel": (((4, 1, 7, 7), {"pads": [3] * 4, "group": 4}), ((4, 1, 3, 3), {**SAME, "group": 4})),
    "rows and columns apart": (
        ((6, 4, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
        ((6, 4, 1, 3), {"pads": [0, 1, 0, 1], "strides": [2, 1]}),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("how", ["Add", "Sub"])
def test_branches_are_one_convolution(name, how):
    before = branches(*PAIRS[name], how=how)
    after, _ = rewritten(FuseBranches(), before)
    assert op_types(after) == ["Conv"]
    weights = [numpy_helper.to_array(tensor) for tensor in after.graph.initializer]
    assert {array.shape for array in weights if array.ndim == 4} == {PAIRS[name][0][0]}
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (((6, 4, 1, 1), {}), ((6, 4, 3, 3), {**SAME, "dilations": [1, 1], "strides": [1, 1]}), ""),
        (
            ((4, 1, 3, 3), {**SAME, "group": 4}),
            ((4, 4, 1, 1), {}),
            "one convolution would multiply more than both",
        ),
        (
            ((6, 4, 3, 1), {"pads": [1, 0, 1, 0]}),
            ((6, 4, 1, 3), {"pads": [0, 1, 0, 1]}),
            "one convolution would multiply more than both",
        ),
        (
            ((6, 4, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
            ((6, 4, 1, 1), {}),
            "a convolution has dilations or auto_pad",
        ),
    ],
    ids=["the second larger", "depthwise beside dense", "a cross", "dilated"],
)
def test_branches_that_would_cost_more_stay_with_a_reason(first, second, reason):
    after, reasons = rewritten(FuseBranches(), branches(first, second))
    assert reasons == ({"sum": reason} if reason else {})
    assert op_types(after) == (["Conv", "Conv", "Add"] if reason else ["Conv"])


def test_branches_of_two_tensors_stay():
    nodes = [conv("a", "v"), conv("c", "v", "x2"), node("Add", ["a", "c"], ["y"], name="sum")]
    weights = {"v": normal(6, 4, 1, 1), "a.b": normal(6), "c.b": normal(6)}
    _, reasons = rewritten(FuseBranches(), model(nodes, weights, inputs=(*IMAGE, ("x2", [1, 4, 9, 8]))))
    assert reasons == {"sum": "the convolutions do not read the same tensor"}


@pytest.mark.filterwarnings("error")
def test_a_block_of_repvgg_as_it_is_trained_is_one_convolution_and_no_warning(tmp_path):
    norm = {"gamma": np.abs(normal(4)), "beta": normal(4), "mean": normal(4), "var": np.abs(normal(4)) + 1}
    nodes = [
        conv("a", "v", **SAME),
        conv("c", "w"),
        node("BatchNormalization", ["x", *norm], ["i"], name="identity"),
        node("Add", ["a", "c"], ["s"], name="s"),
        node("Add", ["s", "i"], ["t"], name="t"),
        node("Relu", ["t"], ["y"], name="act"),
    ]
    weights = {"v": normal(4, 4, 3, 3), "w": normal(4, 4, 1, 1), "a.b": normal(4), "c.b": normal(4)} | norm
    before = model(nodes, weights, inputs=IMAGE)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Conv", "Relu"]
    assert_same_results(before, after)


def chain(first, second, settings=None, last=None):
    weights = {"v": normal(*first), "w": normal(*second), "a.b": normal(first[0]), "c.b": normal(second[0])}
    nodes = [conv("a", "v", target="m", **(settings or SAME)), conv("c", "w", "m", "y", **(last or {}))]
    return model(nodes, weights, inputs=IMAGE)


def test_a_convolution_over_single_pixels_goes_into_the_one_before_it():
    before = chain((8, 4, 3, 3), (6, 8, 1, 1), {**SAME, "strides": [2, 2]})
    after, _ = rewritten(FuseConvs(), before)
    assert op_types(after) == ["Conv"]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("first", "second", "last", "reason"),
    [
        ((2, 4, 3, 3), (16, 2, 1, 1), {}, "one Conv would multiply more than both"),
        ((8, 4, 3, 3), (6, 8, 3, 3), {}, "the second Conv is not over single pixels"),
        ((8, 4, 3, 3), (6, 8, 1, 1), {"pads": [1, 1, 1, 1]}, "the second Conv is not over single pixels"),
        ((8, 4, 3, 3), (8, 4, 1, 1), {"group": 2}, "a Conv has groups"),
    ],
    ids=["a bottleneck", "a second window", "pads between", "groups"],
)
def test_chains_that_would_cost_more_stay_with_a_reason(first, second, last, reason):
    after, reasons = rewritten(FuseConvs(), chain(first, second, last=last))
    assert op_types(after) == ["Conv", "Conv"]
    assert reasons["c"] == reason
