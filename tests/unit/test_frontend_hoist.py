"""Constants behind the reshaped result of a layer go into its weights and its bias."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from axbuild.toolchain.ops.fused import fused_nodes
from axbuild.toolchain.rewrites.fuse_factor import FuseFactor
from axbuild.toolchain.rewrites.hoist_constant import HoistConstant
from frontend_world import assert_same_results, model, node, normal, op_types, optimized, rewritten

TOKENS = (("x", [2, 5, 6]),)
BN = {"gamma": normal(12), "beta": normal(12) + 1, "mean": normal(12), "var": normal(12) ** 2 + np.float32(0.1)}


def layer(*behind):
    """A layer of tokens and what stands behind it; its result is "t"."""
    return [node("MatMul", ["x", "w"], ["t"], name="fc"), *behind]


BEHIND = {
    "a bias behind rows that become tokens": (
        layer(node("Reshape", ["t", "tokens"], ["r"]), node("Add", ["r", "c"], ["y"])),
        {"tokens": np.array([10, 12]), "c": normal(12)},
        ["MatMul", "Reshape"],
    ),
    "a bias a head": (
        layer(
            node("Reshape", ["t", "heads"], ["r"]),
            node("Transpose", ["r"], ["p"], perm=[0, 2, 1, 3]),
            node("Add", ["p", "c"], ["y"]),
        ),
        {"heads": np.array([2, 5, 3, 4]), "c": normal(3, 1, 4)},
        ["MatMul", "Reshape", "Transpose"],
    ),
    "a scale a head behind a bias": (
        layer(
            node("Add", ["t", "b"], ["s"]),
            node("Reshape", ["s", "heads"], ["r"]),
            node("Transpose", ["r"], ["p"], perm=[2, 0, 1, 3]),
            node("Mul", ["p", "c"], ["y"]),
        ),
        {"heads": np.array([2, 5, 3, 4]), "b": normal(12), "c": normal(3, 1, 1, 1)},
        ["MatMul", "Reshape", "Transpose"],
    ),
    "a number divided by": (
        layer(node("Reshape", ["t", "tokens"], ["r"]), node("Div", ["r", "c"], ["y"])),
        {"tokens": np.array([10, 12]), "c": np.array(4.0, np.float32)},
        ["MatMul", "Reshape"],
    ),
    "batch norm of rows": (
        layer(node("Flatten", ["t"], ["r"], axis=2), node("BatchNormalization", ["r", *BN], ["y"], name="bn")),
        BN,
        ["MatMul", "Flatten"],
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BEHIND)
def test_the_layer_takes_what_stands_behind_its_reshaping(name, tmp_path):
    nodes, weights, wanted = BEHIND[name]
    before = model(nodes, {"w": normal(6, 12)} | weights, inputs=TOKENS)
    after = optimized(before, tmp_path)
    assert [item.node.op_type for item in fused_nodes(ir.from_proto(after).graph)] == wanted
    assert_same_results(before, after)


def test_a_convolution_takes_a_bias_behind_its_pixels(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["t"], name="conv"),
        node("Reshape", ["t", "pixels"], ["r"]),
        node("Transpose", ["r"], ["p"], perm=[0, 2, 1]),
        node("Mul", ["p", "k"], ["m"]),
        node("Add", ["m", "c"], ["y"]),
    ]
    weights = {"w": normal(4, 3, 2, 2), "pixels": np.array([1, 4, -1]), "k": normal(4), "c": normal(1, 1, 4)}
    before = model(nodes, weights)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Conv", "Reshape", "Transpose"]
    assert_same_results(before, after)


OTHERS = {
    "a number a token": (
        layer(node("Reshape", ["t", "tokens"], ["r"]), node("Add", ["r", "c"], ["y"], name="last")),
        {"tokens": np.array([10, 12]), "c": normal(10, 1)},
        "the constant is not one number a channel of the layer before",
    ),
    "two readers": (
        [*layer(node("Reshape", ["t", "tokens"], ["r"])), node("Add", ["r", "c"], ["y"], name="last"),
         node("Relu", ["r"], ["also"])],
        {"tokens": np.array([10, 12]), "c": normal(12)},
        "the tensor is not a layer's result, reshaped or transposed",
    ),
    "no layer": (
        [node("Relu", ["x"], ["t"]), node("Reshape", ["t", "tokens"], ["r"]),
         node("Mul", ["r", "c"], ["y"], name="last")],
        {"tokens": np.array([10, 6]), "c": normal(6)},
        "the tensor is not a layer's result, reshaped or transposed",
    ),
    "divided by": (
        layer(node("Reshape", ["t", "tokens"], ["r"]), node("Div", ["c", "r"], ["y"], name="last")),
        {"tokens": np.array([10, 12]), "c": normal(12)},
        "Div is not by a constant",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_constants_stay_with_a_reason(name):
    nodes, weights, reason = OTHERS[name]
    outputs = ("y", "also") if any("also" in item.output for item in nodes) else ("y",)
    kept = {key: array for key, array in ({"w": normal(6, 12)} | weights).items() if any(key in n.input for n in nodes)}
    _, reasons = rewritten(HoistConstant(), model(nodes, kept, inputs=TOKENS, outputs=outputs))
    assert reasons["last"] == reason


NOT_ONE = "a constant is not one number a channel, or divides by zero"


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (layer(node("Mul", ["t", "rows"], ["y"], name="last")), NOT_ONE),
        (layer(node("Div", ["t", "zero"], ["y"], name="last")), NOT_ONE),
        ([node("Relu", ["x"], ["t"]), node("Mul", ["t", "zero"], ["y"], name="last")],
         "Mul does not follow a product with a constant matrix"),
    ],
)  # fmt: skip
def test_other_factors_stay_with_a_reason(nodes, reason):
    weights = {"w": normal(6, 12), "rows": normal(5, 1), "zero": np.zeros(1, np.float32)}
    kept = {key: array for key, array in weights.items() if any(key in item.input for item in nodes)}
    _, reasons = rewritten(FuseFactor(), model(nodes, kept, inputs=TOKENS))
    assert reasons["last"] == reason
