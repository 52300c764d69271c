"""What takes elements at known positions: gathered ones as a slice, repeated pixels in one spelling."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.rewrites.canonical_resize import CanonicalResize
from axbuild.toolchain.rewrites.gather_to_slice import GatherToSlice
from axbuild.toolchain.rewrites.known_positions import KnownPositions
from axbuild.toolchain.rewrites.listed_indices import ListedIndices
from axbuild.toolchain.rewrites.rewrite import Edit, apply
from frontend_world import assert_same_results, model, node, op_types, rewritten, with_shapes


def gather(index, axis):
    given = node("Gather", ["x", "i"], ["y"], name="n", axis=axis)
    return model([given], {"i": np.array(index)}, inputs=(("x", [3, 6, 4]),))


@pytest.mark.parametrize(
    ("index", "axis", "made"),
    [
        (0, 1, ["Slice", "Reshape"]),
        (-1, 2, ["Slice", "Reshape"]),
        (2, 0, ["Slice", "Reshape"]),
        ([4], 1, ["Slice"]),
        ([1, 3, 5], 1, ["Slice"]),
        ([5, 4, 3, 2, 1, 0], 1, ["Slice"]),
        ([3, 0], -1, ["Slice"]),
        ([[0, 1], [2, 3]], 1, ["Slice", "Reshape"]),
        ([[0, 5], [2, 2]], 1, ["Gather", "Reshape"]),
        ([-1, 0, 2], 1, ["Gather"]),
    ],
    ids=str,
)
def test_elements_at_known_positions_are_a_slice_where_they_are_a_step_apart(index, axis, made):
    before = gather(index, axis)
    after, _ = rewritten(GatherToSlice(), before)
    assert op_types(after) == made
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize("index", [[2, 2], [0, 5, 1]])
def test_positions_in_no_order_stay_gathered(index):
    _, reasons = rewritten(GatherToSlice(), gather(index, 1))
    assert reasons == {"n": "Gather has an index in no regular order"}


def test_a_gathered_scalar_stays():
    given = node("Gather", ["x", "i"], ["y"], name="n")
    _, reasons = rewritten(GatherToSlice(), model([given], {"i": np.array(1)}, inputs=(("x", [3]),)))
    assert reasons == {"n": "Gather makes a scalar, or nothing"}


def resize(place, rounding, *, height=2.0, width=3.0, mode="nearest"):
    scales = {"s": np.array([1, 1, height, width], np.float32)}
    rules = {"coordinate_transformation_mode": place, "nearest_mode": rounding, "mode": mode}
    return model([node("Resize", ["x", "", "s"], ["y"], name="n", **rules)], scales)


@pytest.mark.parametrize(
    ("place", "rounding"),
    [
        ("asymmetric", "floor"),
        ("half_pixel", "round_prefer_floor"),
        ("pytorch_half_pixel", "round_prefer_ceil"),
    ],
)
def test_pixels_that_become_blocks_are_resized_by_the_rule_of_the_chips(place, rounding):
    before = resize(place, rounding)
    after, _ = rewritten(CanonicalResize(), before)
    (item,) = after.graph.node
    assert {entry.name: helper.get_attribute_value(entry).decode() for entry in item.attribute} == {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_ceil",
    }
    scales = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}[item.input[2]]
    assert scales.tolist() == [1, 1, 2, 3]
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (resize("half_pixel", "round_prefer_ceil"), "Resize is in canonical form"),
        (resize("asymmetric", "floor", mode="linear"), "Resize interpolates"),
        (resize("asymmetric", "floor", width=1.5), "Resize is not by whole numbers"),
        (
            resize("asymmetric", "ceil"),
            "Resize takes other pixels than half_pixel with round_prefer_ceil does",
        ),
        (
            resize("align_corners", "round_prefer_floor"),
            "Resize takes other pixels than half_pixel with round_prefer_ceil does",
        ),
    ],
)
def test_other_resizes_stay_with_a_reason(given, reason):
    _, reasons = rewritten(CanonicalResize(), given)
    assert reasons == {"n": reason}


def positions(op, index, *, updates=None, shape=(3, 6, 4), **attributes):
    """A model that reads or puts at known positions."""
    inputs = [("x", list(shape)), *([] if updates is None else [("u", list(updates))])]
    given = node(op, ["x", "i", *(["u"] if updates is not None else [])], ["y"], name="n", **attributes)
    return model([given], {"i": np.array(index)}, inputs=inputs)


@pytest.mark.parametrize(
    ("before", "rows"),
    [
        (positions("GatherElements", np.array([[[2], [0]], [[-1], [1]]]), axis=1), 4),
        (positions("GatherElements", np.broadcast_to([[[4], [1]]], (1, 2, 4)), axis=1, shape=(1, 6, 4)), 2),
        (positions("GatherND", [[0, 1], [2, -1]]), 2),
        (positions("GatherND", [[[1], [5]], [[0], [0]], [[2], [-2]]], batch_dims=1), 6),
        (positions("GatherND", [[0, 1, 3], [2, -1, 0]]), 2),
        (positions("ScatterElements", [[[5, 0, 1, 2]]], updates=(1, 1, 4), axis=1), 72),
        (positions("ScatterElements", np.full((1, 1, 4), 3), updates=(1, 1, 4), axis=1, shape=(1, 6, 4)), 6),
        (positions("ScatterND", [[0, 1], [2, -1]], updates=(2, 4)), 18),
        (positions("ScatterND", [[[0, 1], [0, 2]]], updates=(1, 2, 4), shape=(1, 6, 4)), 6),
        (positions("ScatterND", [[2]], updates=(1, 6, 4)), 3),
    ],
    ids=str,
)
def test_what_is_read_or_put_at_known_positions_are_rows_that_are_gathered(before, rows):
    after, _ = rewritten(KnownPositions(), before)
    assert set(op_types(after)) <= {"Reshape", "Concat", "Gather"}
    (gathered,) = [item for item in after.graph.node if item.op_type == "Gather"]
    (index,) = [numpy_helper.to_array(t) for t in after.graph.initializer if t.name == gathered.input[1]]
    assert index.size == rows
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (positions("GatherND", [[0, 6]]), "an index of GatherND lies outside its axis"),
        (positions("ScatterND", [[2]], updates=(1, 6, 4), reduction="add"), "ScatterND reduces"),
    ],
)
def test_other_known_positions_stay_with_a_reason(given, reason):
    graph = with_shapes(given)
    assert apply(KnownPositions(), Edit(graph.graph)) == {"n": reason}


@pytest.mark.parametrize(("axis", "shape"), [(0, (8, 4)), (1, (3, 8)), (-1, (2, 3, 8))])
def test_computed_indices_of_any_rank_become_a_list(axis, shape):
    ids = helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [2, 3])
    before = model([node("Gather", ["x", "i"], ["y"], name="n", axis=axis)], inputs=(("x", list(shape)),))
    before.graph.input.append(ids)
    after, _ = rewritten(ListedIndices(), before)
    assert op_types(after) == ["Reshape", "Gather", "Reshape"]
    feeds = {
        "x": np.random.default_rng(0).normal(size=shape).astype(np.float32),
        "i": np.array([[0, 1, -1], [2, 2, 0]]),
    }
    found, wanted = (check.run(LightModel(proto), feeds)["y"] for proto in (after, before))
    assert np.array_equal(found, wanted)
