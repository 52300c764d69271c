"""Maps of one axis become maps of two, and transposed convolutions plain ones, without a change of what is computed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from axbuild.toolchain.rewrites.lift_line import LiftLine
from axbuild.toolchain.rewrites.plain_transpose import PlainTranspose
from frontend_world import assert_same_results, model, node, normal, op_types, optimized, rewritten

LINE = (("x", [1, 4, 16]),)


def settings(proto, op_type):
    found = next(item for item in proto.graph.node if item.op_type == op_type)
    return {item.name: onnx.helper.get_attribute_value(item) for item in found.attribute}


def test_a_chain_over_one_axis_is_reshaped_at_its_ends_only(tmp_path):
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1], dilations=[1], strides=[1]),
        node("Relu", ["c"], ["r"]),
        node("Mul", ["r", "k"], ["m"]),
        node("MaxPool", ["m"], ["p"], kernel_shape=[2], strides=[2]),
        node("ConvTranspose", ["p", "u"], ["t"], strides=[2], kernel_shape=[2]),
        node("Concat", ["t", "r"], ["y"], axis=-2),
    ]
    weights = {"w": normal(8, 4, 3), "b": normal(8), "k": normal(8, 1), "u": normal(8, 3, 2)}
    before = model(nodes, weights, inputs=LINE)
    after = optimized(before, tmp_path)
    own = [name for name in op_types(after) if name != "Reshape"]
    assert own == ["Conv", "Relu", "Mul", "MaxPool", "ConvTranspose", "Concat"]
    assert [op_types(after)[i] for i in (0, -1)] == ["Reshape", "Reshape"]
    assert op_types(after).count("Reshape") == 2
    assert settings(after, "Conv")["pads"] == [1, 0, 1, 0]
    assert_same_results(before, after)


def test_what_reads_an_unsqueezed_map_too_keeps_its_shape():
    before = model([node("Add", ["x", "x"], ["y"])], inputs=LINE)
    after, reasons = rewritten(LiftLine(), before)
    assert op_types(after) == ["Add"]
    assert list(reasons.values()) == ["Add reads what was not squeezed"]


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling_of_a_line_is_that_of_a_map(op_type):
    before = model([node(op_type, ["x"], ["y"])], inputs=LINE)
    after, _ = rewritten(LiftLine(), before)
    assert op_types(after) == ["Reshape", op_type, "Reshape"]


MAP = (("x", [1, 4, 5, 6]),)


@pytest.mark.parametrize(
    "given",
    [
        {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID", "strides": [2, 2]},
        {"output_shape": [10, 11], "strides": [2, 2]},
        {"output_shape": [10, 12], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"dilations": [2, 3], "pads": [1, 2, 0, 1]},
        {"output_padding": [1, 2], "strides": [2, 3]},
        {"output_padding": [1, 1], "strides": [2, 2], "pads": [1, 1, 0, 1], "dilations": [2, 1], "group": 2},
    ],
    ids=str,
)
def test_a_transposed_convolution_gets_plain_pads(given):
    before = model(
        [node("ConvTranspose", ["x", "w", "b"], ["y"], **given)],
        {"w": normal(4, 3, 3, 3), "b": normal(3 * given.get("group", 1))},
        inputs=MAP,
    )
    after, _ = rewritten(PlainTranspose(), before)
    assert not settings(after, "ConvTranspose").keys() & {"auto_pad", "output_shape", "output_padding", "dilations"}
    assert min(settings(after, "ConvTranspose")["pads"]) >= 0


def test_padding_of_the_output_within_the_pads_stays():
    given = {"output_padding": [1, 1], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    before = model([node("ConvTranspose", ["x", "w"], ["y"], **given)], {"w": normal(4, 3, 3, 3)}, inputs=MAP)
    _, reasons = rewritten(PlainTranspose(), before)
    assert list(reasons.values()) == ["ConvTranspose has plain pads"]


@pytest.mark.parametrize("group", [1, 2])
def test_what_follows_a_transposed_convolution_goes_into_its_weights(tmp_path, group):
    channels = 3 * group
    nodes = [
        node("ConvTranspose", ["x", "w", "b"], ["c"], strides=[2, 2], group=group),
        node("BatchNormalization", ["c", "g", "h", "m", "v"], ["n"]),
        node("Mul", ["n", "k"], ["y"]),
    ]
    weights = {"w": normal(4, 3, 2, 2), "b": normal(channels), "k": normal(channels, 1, 1)}
    weights |= {name: normal(channels) for name in "ghm"} | {"v": np.abs(normal(channels)) + np.float32(0.5)}
    before = model(nodes, weights, inputs=MAP)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["ConvTranspose"]
    assert_same_results(before, after)


@pytest.mark.parametrize(("shape", "found"), [([1, 64], ["Reshape"]), ([1, 4, 16], [])])
def test_reshaping_twice_is_reshaping_once(tmp_path, shape, found):
    nodes = [
        node("Unsqueeze", ["x", "a"], ["u"]),
        node("Reshape", ["u", "s"], ["r"]),
        node("Relu", ["r"], ["y"]),
    ]
    before = model(nodes, {"a": np.array([3]), "s": np.array(shape)}, inputs=LINE)
    after = optimized(before, tmp_path)
    assert [name for name in op_types(after) if name not in ("Relu", "Identity")] == found
    assert_same_results(before, after)


@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize(("axes", "kept"), [([2], 0), ([-1], 1), ([1], 0), ([1, 2], 0)], ids=str)
def test_what_is_reduced_behind_a_line_was_no_line_again(op_type, axes, kept, tmp_path):
    nodes = [node("Conv", ["x", "w"], ["c"]), node(op_type, ["c", "axes"], ["y"], keepdims=kept)]
    before = model(nodes, {"w": normal(8, 4, 3), "axes": np.array(axes)}, inputs=LINE)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Reshape", "Conv", op_type, "Reshape"]
    assert_same_results(before, after)
