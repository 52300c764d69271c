"""Elements at known positions in the whole way: float model, integers and simulated NPU give the same elements."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from compiled import compiled
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from quantised import Net, float_run, loaded, quantised

from axbuild.errors import AxError
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.ops.fused import without_integer_form

PLACES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "asymmetric", "align_corners"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def moved(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """What the simulated NPU gives for whole numbers between -128 and 127, and what the float model does."""
    model = net.model("y")
    shape = net.samples(1)[0]["x"].shape
    x = (np.arange(np.prod(shape)) % 256 - 128).astype(np.float32).reshape(shape)
    feeds = {"x": x}
    (expected,) = float_run(model, feeds)
    ends = {"x": np.resize(np.float32([-128, 127]), shape)}
    (found,) = compiled(model, quantised(model, [ends, feeds])).run(None, feeds)
    return found, expected


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("height", "width"), [(2, 3), (4, 1), (5, 7)])
def test_pixels_are_repeated_by_every_rule(place, rounding, height, width):
    net = Net(1, 2, 5, 3)
    net.constant("s", np.array([1, 1, height, width], np.float32))
    net.add("Resize", ["x", "", "s"], "y", coordinate_transformation_mode=place, nearest_mode=rounding)
    found, expected = moved(net)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("index", "axis"), [([2, 0, 2, -1], 1), ([[0, 5], [3, 3]], 2), (1, 2), ([1, 1, 0], -1)])
def test_elements_are_gathered_at_constant_indices_along_any_axis(index, axis):
    net = Net(1, 3, 6, 4)
    net.constant("i", np.array(index))
    net.add("Gather", ["x", "i"], "y", axis=axis)
    found, expected = moved(net)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("op_type", "given"),
    [("Expand", [2, 1, 3, 6, 4]), ("Expand", [5, 1]), ("Tile", [1, 2, 1, 3]), ("Tile", [1, 1, 1, 1])],
)
def test_tensors_are_repeated(op_type, given):
    net = Net(1, 3, 1 if given == [5, 1] else 6, 4)
    net.constant("s", np.array(given))
    net.add(op_type, ["x", "s"], "y")
    found, expected = moved(net)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("place", "scales"),
    [(place, (2, 3)) for place in PLACES]
    + [(place, scales) for place in PLACES if place != "align_corners" for scales in ((1.7, 0.6), (0.5, 1))],
    ids=str,
)
def test_pixels_between_pixels_are_within_one_step(place, scales):
    net = Net(1, 2, 5, 7)
    net.constant("s", np.array([1, 1, *scales], np.float32))
    net.add("Resize", ["x", "", "s"], "y", coordinate_transformation_mode=place, mode="linear")
    found, expected = moved(net)
    assert np.abs(found - expected).max() <= 1.0


def tokens(table_axis: int = 0) -> tuple[Net, onnx.ModelProto]:
    """An embedding of [1, 6] token numbers, normalised."""
    net = Net(1, 6, name="x")
    net.inputs = []
    net.input("ids", 1, 6, kind=onnx.TensorProto.INT64)
    table = net.rng.normal(0, 1, (20, 8) if table_axis == 0 else (8, 20))
    net.add("Gather", [net.constant("table", table), "ids"], "rows", axis=table_axis)
    net.add("Transpose", ["rows"], "e", perm=[0, 1, 2] if table_axis == 0 else [1, 2, 0])
    net.add("LayerNormalization", ["e", net.weight("g", 8), net.weight("b", 8)], "y")
    return net, net.model("y")


@pytest.mark.parametrize("table_axis", [0, 1])
def test_token_numbers_of_any_rank_become_rows_on_the_npu(table_axis):
    net, given = tokens(table_axis)
    model = simplify(LightModel(given), OptimizeParams()).proto
    samples = [{"ids": net.rng.integers(-20, 20, (1, 6))} for _ in range(3)]
    result = quantised(model, samples)
    assert result.float_ops() == []
    session = compiled(model, result, batches=(1, 2))
    together = np.concatenate([feeds["ids"] for feeds in samples])
    expected = np.concatenate([result.run(feeds)[0] for feeds in samples])
    (found,) = session.run(None, {"ids": together})
    assert found.tobytes() == expected.tobytes()
    for feeds in samples:
        np.testing.assert_allclose(result.run(feeds)[0], float_run(given, feeds)[0], atol=0.15)


def test_a_token_number_beyond_the_table_is_an_error_of_session_and_reference_alike():
    net, given = tokens()
    model = simplify(LightModel(given), OptimizeParams()).proto
    result = quantised(model, [{"ids": net.rng.integers(0, 20, (1, 6))}])
    feeds = {"ids": np.array([[0, 1, 2, 3, 4, 20]])}
    with pytest.raises(AxError, match="the index 20 names none of 20 rows"):
        compiled(model, result).run(None, feeds)
    with pytest.raises(InvalidArgument, match="indices element out of data bounds, idx=20"):
        result.run(feeds)


@pytest.mark.parametrize(
    ("op", "index", "made", "attributes"),
    [
        ("Gather", (3,), (2, 3, 4), {"axis": 1}),
        ("GatherElements", (2, 3, 4), (2, 3, 4), {"axis": 1}),
        ("GatherND", (2, 3, 1), (2, 3, 4), {"batch_dims": 1}),
    ],
)
def test_elements_are_read_at_computed_positions(op, index, made, attributes):
    net = Net(2, 6, 4)
    net.input("i", *index, kind=onnx.TensorProto.INT64)
    net.add(op, ["x", "i"], "y", **attributes)
    model = net.model("y")
    feeds = {"x": net.rng.integers(-128, 128, (2, 6, 4)).astype(np.float32), "i": net.rng.integers(-6, 6, index)}
    feeds["x"].flat[:2] = -128, 127
    (found,) = compiled(model, quantised(model, [feeds])).run(None, feeds)
    assert found.shape == made
    np.testing.assert_array_equal(found, float_run(model, feeds)[0])


def test_indices_that_leave_samples_of_the_data_out_are_for_the_cpu():
    net = Net(3, 6, 4)
    net.input("i", 1, 2, 1, kind=onnx.TensorProto.INT64)
    net.add("GatherND", ["x", "i"], "y", batch_dims=1)
    sentence = without_integer_form(loaded(net.model("y")).graph[0])
    assert sentence == "its indices must have its data's first batch_dims axes"


@pytest.mark.parametrize(
    ("op", "index", "updates", "attributes"),
    [
        ("ScatterElements", [[[5, -1, 0, 2]]], (1, 1, 4), {"axis": 1}),
        ("ScatterElements", [[[5, -1, 0, 2]]], (1, 1, 4), {"axis": 1, "reduction": "max"}),
        ("ScatterND", [[0, 1], [1, -2]], (2, 4), {}),
        ("ScatterND", [[0, 1], [0, 1]], (2, 4), {"reduction": "min"}),
    ],
)
def test_elements_are_put_at_computed_positions(op, index, updates, attributes):
    net = Net(2, 6, 4)
    net.input("i", *np.shape(index), kind=onnx.TensorProto.INT64)
    net.input("u", *updates)
    net.add(op, ["x", "i", "u"], "y", **attributes)
    model = net.model("y")
    x, u = (net.rng.integers(-128, 128, shape).astype(np.float32) for shape in ((2, 6, 4), updates))
    x.flat[:2] = -128, 127
    feeds = {"x": x, "i": np.array(index), "u": u}
    (found,) = compiled(model, quantised(model, [feeds])).run(None, feeds)
    np.testing.assert_array_equal(found, float_run(model, feeds)[0])


def test_elements_added_up_where_they_are_put_run_on_the_cpu():
    net = Net(2, 6, 4)
    net.input("i", 2, 2, kind=onnx.TensorProto.INT64)
    net.input("u", 2, 4)
    net.add("ScatterND", ["x", "i", "u"], "y", reduction="add")
    assert without_integer_form(loaded(net.model("y")).graph[0]) == (
        "its reduction must be none, max or min of reals, whose sums and products depend on the order, got add"
    )
