"""Operators that another does as well: extremes that clamp, an Expand before what broadcasts, one slope for all."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.drop_expand import DropExpand
from axbuild.toolchain.rewrites.extreme_to_clip import ExtremeToClip
from axbuild.toolchain.rewrites.one_slope import OneSlope
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten


@pytest.mark.parametrize("op_type", ["Max", "Min"])
@pytest.mark.parametrize("operands", [["x", "k"], ["k", "x"]])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_extreme_of_a_tensor_and_a_number_is_a_clamp(op_type, operands, shape):
    before = model([node(op_type, operands, ["y"], name="n")], {"k": np.full(shape, 0.25, np.float32)})
    after, _ = rewritten(ExtremeToClip(), before)
    assert op_types(after) == ["Clip"]
    assert [list(tensor.dims) for tensor in after.graph.initializer] == [[]], "a bound is a scalar, as ONNX asks"
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize(
    ("operands", "reason"),
    [
        (["x", "many"], "Max is not of one tensor and one number"),
        (["x", "x"], "Max is not of one tensor and one number"),
        (["x", "k", "k"], "Max is not of one tensor and one number"),
        (["x", "long"], "Max is not over a float32 tensor of its own shape"),
    ],
)
def test_other_extremes_stay_with_a_reason(operands, reason):
    weights = {"k": np.float32([0.25]), "many": normal(8), "long": np.ones((1, 1, 1, 1, 1), np.float32)}
    _, reasons = rewritten(ExtremeToClip(), model([node("Max", operands, ["y"], name="n")], weights))
    assert reasons == {"n": reason}


@pytest.mark.parametrize("op_type", ["Add", "Div", "Max"])
@pytest.mark.parametrize("first", [False, True])
def test_an_expand_to_the_shape_of_the_other_operand_goes(op_type, first):
    operands = ["wide", "x"] if first else ["x", "wide"]
    nodes = [
        node("Expand", ["k", "shape"], ["wide"], name="expand"),
        node(op_type, operands, ["y"], name="n"),
    ]
    weights = {"shape": np.array([1, 3, 8, 8])}
    before = model(nodes, weights, inputs=(("x", [1, 3, 8, 8]), ("k", [3, 1, 8])))
    after, _ = rewritten(DropExpand(), before)
    assert op_types(after) == [op_type]
    assert_same_results(before, after, tolerance=0.0)


def test_an_expand_that_gives_the_result_its_shape_stays():
    nodes = [node("Expand", ["k", "shape"], ["wide"], name="expand"), node("Add", ["x", "wide"], ["y"], name="n")]
    proto = model(nodes, {"shape": np.array([2, 3, 8, 8])}, inputs=(("x", [1, 3, 8, 8]), ("k", [3, 1, 1])))
    _, reasons = rewritten(DropExpand(), proto)
    assert reasons == {"n": "no operand of Add is expanded to the shape of another"}


@pytest.mark.parametrize("slope", [np.float32([0.1]), np.full((3, 1, 1), -0.3, np.float32)], ids=["one", "all alike"])
def test_one_slope_for_all_channels_is_a_leaky_relu(slope):
    before = model([node("PRelu", ["x", "slope"], ["y"], name="n")], {"slope": slope})
    after, _ = rewritten(OneSlope(), before)
    assert op_types(after) == ["LeakyRelu"]
    assert_same_results(before, after, tolerance=0.0)


def test_slopes_that_differ_stay():
    proto = model([node("PRelu", ["x", "slope"], ["y"], name="n")], {"slope": normal(3, 1, 1)})
    assert rewritten(OneSlope(), proto)[1] == {"n": "PRelu has slopes that differ, or are computed"}
