"""ONNX's node cases of the spatial operators through the front end: all integers, on every chip, close to float."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from compiled import compiled
from frontend_way import simplified
from node_cases import NAMES, settled
from npu_world import CHIPS
from quantised import float_run, quantised, sqnr

from axbuild.toolchain.npu.chips.support import refusals

SPATIAL = ("AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Pad", "Resize")
EXCEPT = {
    "test_maxpool_2d_uint8": "the front end makes no integers of floats",
    "test_maxpool_with_argmax_2d_precomputed_pads": "indices of maxima",
    "test_maxpool_with_argmax_2d_precomputed_strides": "indices of maxima",
    "test_resize_tf_crop_and_resize_extrapolation_value": "a value for what lies outside",
}
"""cases that stay on the CPU, and why"""
CASES = sorted(name for name in NAMES if settled(name)[0].graph.node[0].op_type in SPATIAL and name not in EXCEPT)


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_onnx_runs_whole_on_every_chip(name):
    model, feeds, _ = settled(name)
    after = simplified(model)
    graph = ir.serde.deserialize_model(after).graph
    chips = [chip.support for chip in CHIPS.values() if not chip.refused]
    assert [sentence for node in graph for chip in chips for sentence in refusals(node, chip)] == []
    result = quantised(after, [feeds])
    assert result.float_ops() == []
    found = result.run(feeds)
    assert [y.tobytes() for y in compiled(after, result).run(None, feeds)] == [y.tobytes() for y in found]
    for y, expected in zip(found, float_run(model, feeds), strict=True):
        assert y.shape == expected.shape
        assert not np.any(expected) or sqnr(expected, y) > 30


@pytest.mark.parametrize("name", EXCEPT)
def test_the_others_are_known(name):
    assert name in NAMES
