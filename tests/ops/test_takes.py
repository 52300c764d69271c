"""Elements at known positions in the whole way: float model, integers and simulated NPU give the same elements."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import compiled
from quantised import Net, float_run, quantised

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
