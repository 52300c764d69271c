"""Resizes of every mode become operators that all chips take, with the elements that onnxruntime computes."""

from __future__ import annotations

import numpy as np
import pytest
from frontend_way import simplified

from axbuild.toolchain.rewrites.plain_resize import ResizeToGather, ResizeToProduct
from frontend_world import assert_same_results, model, node, op_types, rewritten

MAP = (("x", [1, 2, 6, 5]),)
PLACES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric", "align_corners"]


def resize(scales, **given):
    return model([node("Resize", ["x", "", "s"], ["y"], **given)], {"s": np.float32(scales)}, inputs=MAP, opset=19)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("scales", [(1, 1, 1.7, 0.6), (1, 1, 0.5, 2.5)], ids=str)
def test_the_nearest_at_fractions_is_gathered(place, rounding, scales):
    before = resize(scales, mode="nearest", coordinate_transformation_mode=place, nearest_mode=rounding)
    after, _ = rewritten(ResizeToGather(), before)
    assert set(op_types(after)) == {"Gather"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "given",
    [
        {"mode": "cubic"},
        {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1},
        {"mode": "cubic", "antialias": 1},
        {"mode": "linear", "antialias": 1},
    ],
    ids=str,
)
def test_what_weighs_more_than_two_neighbours_is_a_product_with_a_constant(place, given):
    before = resize((1, 1, 1.5, 0.6), coordinate_transformation_mode=place, **given)
    after, _ = rewritten(ResizeToProduct(), before)
    assert op_types(after) == ["Transpose", "MatMul", "Transpose", "MatMul"]


def test_a_linear_one_over_a_map_stays(tmp_path):
    before = resize((1, 1, 1.5, 0.6), mode="linear")
    assert op_types(simplified(before)) == ["Resize"]


def test_a_crop_within_the_map_is_a_product():
    weights = {"r": np.float32([0.4, 0.6, 0.6, 0.8]), "z": np.array([3, 3])}
    given = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "axes": [2, 3]}
    before = model([node("Resize", ["x", "r", "", "z"], ["y"], **given)], weights, inputs=MAP, opset=19)
    after, _ = rewritten(ResizeToProduct(), before)
    assert op_types(after).count("MatMul") == 2


def test_a_crop_beyond_the_map_says_why_it_stays():
    weights = {"r": np.float32([0.4, 0.6, 1.2, 1.7]), "z": np.array([3, 3])}
    given = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0}
    before = model([node("Resize", ["x", "r", "", "z"], ["y"], axes=[2, 3], **given)], weights, inputs=MAP, opset=19)
    _, reasons = rewritten(ResizeToProduct(), before)
    assert list(reasons.values()) == ["Resize fills with a value what lies outside"]


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_a_kept_aspect_ratio_takes_the_same_elements(policy):
    given = {"keep_aspect_ratio_policy": policy, "axes": [2, 3]}
    before = model([node("Resize", ["x", "", "", "z"], ["y"], **given)], {"z": np.array([7, 9])}, inputs=MAP, opset=19)
    after = simplified(before)
    assert "Resize" not in op_types(after)
    assert_same_results(before, after)


@pytest.mark.parametrize(("scale", "repeated"), [(2, "Resize"), (1.5, "Gather")])
def test_a_line_is_resized_between_its_convolutions(scale, repeated):
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Resize", ["c", "", "s"], ["u"], mode="linear"),
        node("Resize", ["u", "", "s"], ["v"], mode="nearest"),
        node("Conv", ["v", "w"], ["y"]),
    ]
    weights = {"w": np.ones((4, 4, 1), np.float32), "s": np.float32([1, 1, scale])}
    before = model(nodes, weights, inputs=(("x", [1, 4, 8]),))
    after = simplified(before)
    assert op_types(after) == ["Reshape", "Conv", "Resize", repeated, "Conv", "Reshape"]
    assert_same_results(before, after)
