"""Regions of a map: onnxruntime runs RoiAlign at older opsets only, and what stands for it computes the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from compiled import compiled
from npu_world import support_of
from onnx import TensorProto, helper
from quantised import float_run, loaded, quantised

from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.kinds.codes import type_named
from axbuild.toolchain.named import DOMAIN
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.npu.plan.placement import judge
from frontend_world import node, place

REGIONS = np.array([[-3, 1, 4, 6], [2, 2, 2, 2], [1.5, 0.25, 9.75, 8], [30, 30, 40, 40], [4, 3, 14, 12]], np.float32)
FORMS = {
    "opset 10": (10, 1, {}),
    "opset 10, scaled, of two maps": (10, 2, {"spatial_scale": 0.5}),
    "opset 16": (16, 1, {}),
    "opset 16, corners, of two maps": (16, 2, {"coordinate_transformation_mode": "output_half_pixel"}),
    "opset 17, its mode written": (17, 2, {"mode": "avg", "spatial_scale": 0.25}),
}


def regions(opset, count=1, **attributes):
    settings = {"output_height": 3, "output_width": 2, "sampling_ratio": 2, **attributes}
    graph = helper.make_graph(
        [
            node("Relu", ["map"], ["x"], name="relu"),
            node("RoiAlign", ["x", "regions", "samples"], ["y"], name="n", **settings),
        ],
        "g",
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, [count, 3, 9, 11]),
            helper.make_tensor_value_info("regions", TensorProto.FLOAT, [5, 4]),
            helper.make_tensor_value_info("samples", TensorProto.INT64, [5]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def feeds(count):
    x = np.random.default_rng(count).standard_normal((count, 3, 9, 11), dtype=np.float32)
    return {"map": x, "regions": REGIONS, "samples": np.arange(5) % count}


def simplified(proto, folder):
    return simplify(load(place(proto, folder / "in")), OptimizeParams()).proto


@pytest.mark.parametrize("form", FORMS)
def test_what_stands_for_it_gives_what_onnxruntime_gives_at_older_opsets(form, tmp_path):
    opset, count, attributes = FORMS[form]
    before = regions(opset, count, **attributes)
    after = simplified(before, tmp_path)
    assert [(item.domain, item.op_type) for item in after.graph.node] == [("", "Relu"), (DOMAIN, "RoiAlign")]
    given = feeds(count)
    np.testing.assert_allclose(float_run(after, given)[0], float_run(before, given)[0], atol=1e-6)


@pytest.mark.parametrize("opset", [22, 24])
def test_it_runs_at_opsets_at_which_onnxruntime_has_none(opset, tmp_path):
    wanted = float_run(regions(16, 2), feeds(2))[0]
    found = float_run(simplified(regions(opset, 2), tmp_path), feeds(2))[0]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_it_is_one_operator_on_the_npu_where_chips_list_it(tmp_path):
    done, given = simplified(regions(16, 2), tmp_path), feeds(2)
    result = quantised(done, [given])
    assert "AxQuantizedRoiAlign" in result.kinds()
    expected = result.run(given)[0]
    assert compiled(done, result).run(None, given)[0].tobytes() == expected.tobytes()
    assert np.abs(expected - float_run(done, given)[0]).max() <= result.scale("map") + result.scale("y")
    align = loaded(done).graph[1]
    assert judge([align], support_of("AX650")).on_npu
    assert judge([align], support_of("AX620E")).sentence == "the NPU of AX620E has no RoiAlign"


def test_on_the_cpu_it_is_a_plain_graph_that_gives_the_same_bits(tmp_path):
    done, given = simplified(regions(16, 2), tmp_path), feeds(2)
    onnx.save(done, tmp_path / "optimized.onnx")
    floats = FloatGraph(tmp_path / "optimized.onnx")
    real, index = type_named("FP32"), type_named("INT64")
    inputs = {"x": (real, (2, 3, 9, 11)), "regions": (real, (5, 4)), "samples": (index, (5,))}
    cut = floats.cut([floats.bare("n")], inputs, {"y": (real, (5, 3, 3, 2))}, "part")
    assert not cut.functions
    x = np.maximum(given["map"], 0)
    found = float_run(cut, {"x": x, "regions": REGIONS, "samples": given["samples"]})[0]
    assert found.tobytes() == float_run(done, given)[0].tobytes()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (regions(16, mode="max"), "RoiAlign x1 ('n') has mode = max, not avg"),
        (regions(16, sampling_ratio=0), "RoiAlign x1 ('n') has no sampling_ratio of at least 1: how much it reads"),
    ],
    ids=["largest", "adaptive"],
)
def test_forms_that_nothing_stands_for_are_refused_with_a_reason(given, sentence, tmp_path):
    with pytest.raises(UnsupportedModelError) as error:
        simplified(given, tmp_path)
    assert sentence in str(error.value)
