"""Poolings and borders take the form that every chip takes, and compute what they did."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir
import pytest
from frontend_way import simplified
from npu_world import CHIPS
from quantised import float_run, quantised

from axbuild.toolchain.npu.chips.support import refusals
from axbuild.toolchain.rewrites.plain_pad import PlainPad
from axbuild.toolchain.rewrites.plain_pool import PlainMaxPool
from frontend_world import assert_same_results, model, node, op_types, rewritten

MAP = (("x", [1, 3, 9, 8]),)


def accepted(proto) -> bool:
    """Whether every chip's NPU takes every node."""
    graph = ir.serde.deserialize_model(proto).graph
    return not any(refusals(item, chip.support) for item in graph for chip in CHIPS.values() if not chip.refused)


POOLS = [
    {"pads": pads, "ceil_mode": ceil, "count_include_pad": include, "strides": strides, "dilations": dilations}
    for pads, ceil, include, (strides, dilations) in itertools.product(
        ([0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 0]),
        (0, 1),
        (0, 1),
        (([2, 2], [1, 1]), ([1, 3], [1, 1]), ([2, 1], [2, 1])),
    )
]


@pytest.mark.parametrize("given", POOLS, ids=str)
def test_every_mean_has_a_form_that_every_chip_takes(given):
    before = model([node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], **given)], inputs=MAP, opset=22)
    after = simplified(before)
    assert accepted(after)
    assert_same_results(before, after)


def test_a_mean_that_leaves_padding_out_is_rounded_once():
    before = model([node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])], inputs=MAP)
    after = simplified(before)
    assert op_types(after) == ["AveragePool", "Mul"]
    samples = [{"x": np.random.default_rng(0).normal(0, 1, MAP[0][1]).astype(np.float32)}]
    result = quantised(after, samples)
    assert result.kinds() == ["AxQuantizedAveragePool"]
    x, y = result.kind(result.model.graph.node[1].name).x, result.kind(result.model.graph.node[1].name).y
    held = {"x": (np.rint(samples[0]["x"] / x.scale) * x.scale).astype(np.float32)}
    assert np.abs(result.run(held)[0] - float_run(before, held)[0]).max() <= 0.501 * y.scale


@pytest.mark.parametrize(
    "given", [{"pads": [2, 1, 2, 1]}, {"strides": [2, 3]}, {"ceil_mode": 1, "strides": [3, 2]}], ids=str
)
def test_dilated_maxima_are_taken_of_taps_side_by_side(given):
    before = model([node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], dilations=[2, 3], **given)], inputs=MAP)
    after, _ = rewritten(PlainMaxPool(), before)
    assert op_types(after) == ["Gather", "Gather", "MaxPool"]
    assert accepted(after)


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [[0, 0, 2, 1, 0, 0, 0, 3], [0, 1, 0, -2, 0, 0, 3, 1]], ids=str)
def test_repeated_borders_are_gathered(mode, pads):
    weights = {"p": np.array(pads)}
    before = model([node("Pad", ["x", "p"], ["y"], mode=mode)], weights, inputs=MAP, opset=19)
    after = simplified(before)
    assert set(op_types(after)) <= {"Gather", "Slice"}
    assert accepted(after)
    assert_same_results(before, after)


def test_a_border_of_nothing_changes_nothing():
    before = model([node("Pad", ["x", "p"], ["y"], mode="edge")], {"p": np.zeros(8, np.int64)}, inputs=MAP)
    after, _ = rewritten(PlainPad(), before)
    assert op_types(after) == ["Identity"]


def test_a_border_names_all_axes_and_crops_none():
    weights = {"p": np.array([1, -2, -1, 3]), "v": np.float32(7), "a": np.array([-1, 2])}
    before = model([node("Pad", ["x", "p", "v", "a"], ["y"])], weights, inputs=MAP)
    after, _ = rewritten(PlainPad(), before)
    assert op_types(after) == ["Gather", "Gather", "Pad"]
    assert accepted(simplified(before))
