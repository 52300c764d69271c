"""Normalisations that no kind computes as they are written: what they become, and that it computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from quantised import float_run
from random_graphs.proof import optimized

from axbuild.toolchain.rewrites.batch_norm_to_mul import BatchNormToMul
from axbuild.toolchain.rewrites.norm_to_layer_norm import NormToLayerNorm
from axbuild.toolchain.rewrites.plain_norm import LengthAlongLast, SumOfMagnitudes
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

BN = {"gamma": normal(4), "beta": normal(4) + 1, "mean": normal(4), "var": normal(4) ** 2 + np.float32(0.1)}


def batch_norm(source, target="y"):
    return node("BatchNormalization", [source, "gamma", "beta", "mean", "var"], [target], name="bn")


@pytest.mark.parametrize("shape", [[2, 4], [2, 4, 5], [1, 4, 2, 3, 2]], ids=len)
def test_batch_norm_of_any_rank_is_a_product_and_a_sum(shape):
    before = model([batch_norm("x")], BN, inputs=(("x", shape),))
    after, _ = rewritten(BatchNormToMul(), before)
    assert op_types(after) == ["Mul", "Add"]
    assert_same_results(before, after)


@pytest.mark.parametrize("shape", [[2, 4, 5], [2, 4, 3, 6], [1, 4, 2, 3, 2]], ids=len)
def test_each_channel_is_normalised_as_the_last_axis(shape):
    operands = ["x", "gamma", "beta"]
    before = model([node("InstanceNormalization", operands, ["y"], name="n", epsilon=1e-3)], BN, inputs=(("x", shape),))
    after, _ = rewritten(NormToLayerNorm(), before)
    apart = ["Reshape"] if len(shape) > 3 else []
    assert op_types(after) == [*apart, "LayerNormalization", *apart, "Mul", "Add"]
    assert_same_results(before, after)


def test_a_group_norm_as_torch_spells_it_is_a_layer_norm_between_its_reshapes():
    nodes = [
        node("Reshape", ["x", "groups"], ["g"], name="grouped"),
        node("InstanceNormalization", ["g", "ones", "zeros"], ["n"], name="norm", epsilon=1e-5),
        node("Reshape", ["n", "back"], ["b"], name="apart"),
        node("Mul", ["b", "k"], ["m"], name="scale"),
        node("Add", ["m", "c"], ["y"], name="bias"),
    ]
    weights = {
        "groups": np.array([0, 2, -1]),
        "back": np.array([2, 4, 3, 6]),
        "k": normal(4, 1, 1),
        "c": normal(4, 1, 1),
    }
    weights |= {"ones": np.ones(2, np.float32), "zeros": np.zeros(2, np.float32)}
    before = model(nodes, weights, inputs=(("x", [2, 4, 3, 6]),))
    after, _ = rewritten(NormToLayerNorm(), before)
    assert op_types(after) == ["Reshape", "LayerNormalization", "Reshape", "Mul", "Add"]
    assert_same_results(before, after)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_of_channels_are_normalised_as_the_last_axis(groups):
    operands = ["x", "gamma", "beta"]
    given = node("GroupNormalization", operands, ["y"], name="n", num_groups=groups)
    before = model([given], BN, inputs=(("x", [2, 4, 3, 6]),), opset=21)
    before.graph.output[0].type.CopyFrom(before.graph.input[0].type)
    after, _ = rewritten(NormToLayerNorm(), before)
    assert op_types(after) == ["Reshape", "LayerNormalization", "Reshape", "Mul", "Add"]
    assert_same_results(before, after)


def test_groups_that_hardly_vary_keep_the_digits_that_onnxs_own_body_of_the_operator_cancels():
    nodes = [
        node("Mul", ["x", "little"], ["s"], name="small"),
        node("Add", ["s", "far"], ["f"], name="moved"),
        node("GroupNormalization", ["f", "gamma", "beta"], ["y"], name="n", num_groups=2),
    ]
    weights = BN | {"little": np.array(0.01, np.float32), "far": np.array(3.0, np.float32)}
    given, x = model(nodes, weights, inputs=(("x", [1, 4, 8, 8]),), opset=21), normal(1, 4, 8, 8)
    done = optimized(given)
    assert "LayerNormalization" in op_types(done)
    groups = (x * weights["little"] + weights["far"]).astype(np.float64).reshape(2, -1)
    apart = groups - groups.mean(axis=1, keepdims=True)
    even = (apart / np.sqrt(groups.var(axis=1, keepdims=True) + 1e-5)).reshape(x.shape)
    wanted = even * BN["gamma"].reshape(-1, 1, 1) + BN["beta"].reshape(-1, 1, 1)
    np.testing.assert_allclose(float_run(done, {"x": x})[0], wanted, atol=1e-3)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            node("InstanceNormalization", ["x", "v", "beta"], ["y"], name="n"),
            "InstanceNormalization has a scale or bias that is not constant",
        ),
        (
            node("InstanceNormalization", ["x", "gamma", "beta"], ["y"], name="n", epsilon=0.0),
            "InstanceNormalization has no epsilon above 0",
        ),
    ],
)
def test_other_norms_of_channels_stay_with_a_reason(given, reason):
    _, reasons = rewritten(NormToLayerNorm(), model([given], BN, inputs=(("x", [1, 4, 3, 3]), ("v", [4]))))
    assert reasons == {"n": reason}


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [
        ([2, 4, 5], 1, ["Transpose", "LpNormalization", "Transpose"]),
        ([2, 4, 5, 3], -2, ["Transpose", "LpNormalization", "Transpose"]),
        ([2, 4, 5], -1, ["LpNormalization"]),
        ([2, 4, 5], 0, ["LpNormalization"]),
    ],
)
def test_vectors_along_any_axis_but_the_samples_get_their_length_along_the_last(shape, axis, expected):
    before = model([node("LpNormalization", ["x"], ["y"], name="n", axis=axis)], inputs=(("x", shape),))
    after, _ = rewritten(LengthAlongLast(), before)
    assert op_types(after) == expected
    assert_same_results(before, after)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_sum_of_magnitudes_that_becomes_one_is_a_quotient(axis):
    before = model([node("LpNormalization", ["x"], ["y"], name="n", axis=axis, p=1)], inputs=(("x", [2, 4, 5]),))
    after, _ = rewritten(SumOfMagnitudes(), before)
    assert op_types(after) == ["Abs", "ReduceSum", "Clip", "Div"]
    assert_same_results(before, after)


def test_no_vector_of_zeros_is_divided_by_zero():
    nodes = [
        node("Mul", ["x", "none"], ["zeros"], name="zeros"),
        node("LpNormalization", ["zeros"], ["y"], name="n", axis=1, p=1),
    ]
    before = model(nodes, {"none": np.zeros(1, np.float32)}, inputs=(("x", [2, 4, 5]),))
    after, _ = rewritten(SumOfMagnitudes(), before)
    assert_same_results(before, after)
