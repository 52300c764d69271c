"""Models in float16, bfloat16 and double become float32, and say so."""

from __future__ import annotations

import json
import re
import warnings

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from axbuild.errors import AxNote
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.frontend.to_float32 import in_range
from frontend_world import model, node, normal, op_types, optimized

KINDS = {
    "float16": (TensorProto.FLOAT16, np.float16),
    "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    "double": (TensorProto.DOUBLE, np.float64),
}


def network(kind, dtype, *size):
    """Conv, a Constant, a Cast to the type, and a branch that has a weight of its own."""
    scale = numpy_helper.from_array(np.array(2, dtype), "s")
    inner = helper.make_graph(
        [node("Add", ["d", "k"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", kind, None)],
        [numpy_helper.from_array(np.array(1, dtype), "k")],
    )
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Constant", [], ["s"], value=scale),
        node("Cast", ["c"], ["n"], to=kind),
        node("Mul", ["n", "s"], ["d"]),
        node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner),
    ]
    return model(nodes, {"w": normal(*size).astype(dtype), "yes": np.array(True)}, kind=kind, opset=22)


@pytest.mark.parametrize("size", [(4, 3, 3, 3), (32, 3, 3, 3)], ids=["small", "large"])
@pytest.mark.parametrize("name", KINDS)
def test_a_model_of_another_float_type_is_computed_in_float32(tmp_path, name, size):
    kind, dtype = KINDS[name]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        after = optimized(network(kind, dtype, *size), tmp_path)
    notes = [str(one.message) for one in said if isinstance(one.message, AxNote)]
    assert len(notes) == 1
    assert re.search(rf"computed in float32: 7 of its tensors, first '[wx]', was {name}, whose numbers", notes[0])
    assert op_types(after) == ["Conv"]
    (weight,) = [numpy_helper.to_array(item) for item in after.graph.initializer if len(item.dims) == 4]
    assert weight.dtype == np.float32
    assert np.array_equal(weight, 2 * normal(*size).astype(dtype).astype(np.float32))
    interface = json.loads((tmp_path / "out/interface.json").read_text())
    assert {item["dtype"] for ends in interface.values() for item in ends} == {"float32"}


def test_a_float32_model_says_nothing(tmp_path, recwarn):
    optimized(model([node("Relu", ["x"], ["y"])]), tmp_path)
    assert not recwarn.list


def test_what_is_finite_in_double_is_finite_in_float32():
    found = in_range(np.array([-1e308, 1e308, np.inf, -np.inf, 0.5]))
    assert found.dtype == np.float32
    assert found.tolist() == [-3.4028234663852886e38, 3.4028234663852886e38, np.inf, -np.inf, 0.5]


@pytest.mark.parametrize("name", KINDS)
def test_weights_of_other_float_types_that_are_no_numbers_are_named(tmp_path, name):
    kind, dtype = KINDS[name]
    proto = model([node("Add", ["x", "w"], ["y"])], {"w": np.array([1, np.nan] * 4, dtype)}, kind=kind)
    with pytest.raises(UnsupportedModelError, match=r"a weight holds what is no number: 'w' \(nan at \[1\]\)"):
        optimized(proto, tmp_path)


def test_weights_in_8_bits_behind_cast_and_scale_are_folded_to_floats(tmp_path):
    codes = np.arange(-108, 108, dtype=np.int8).reshape(4, 6, 3, 3)
    nodes = [
        node("Cast", ["codes"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "scale"], ["w"]),
        node("Conv", ["x", "w"], ["y"]),
    ]
    scale = normal(4, 1, 1, 1)
    proto = model(nodes, {"codes": codes, "scale": scale}, inputs=(("x", [1, 6, 8, 8]),))
    after = optimized(proto, tmp_path)
    assert op_types(after) == ["Conv"]
    assert np.array_equal(numpy_helper.to_array(after.graph.initializer[0]), codes * scale)


def test_weights_that_are_dequantised_are_folded_to_floats(tmp_path):
    codes = np.arange(-54, 54, dtype=np.int8).reshape(4, 3, 3, 3)
    nodes = [node("DequantizeLinear", ["codes", "scale"], ["w"], axis=0), node("Conv", ["x", "w"], ["y"])]
    after = optimized(model(nodes, {"codes": codes, "scale": np.float32([1, 2, 4, 8]) / 64}), tmp_path)
    assert op_types(after) == ["Conv"]
    expected = codes * (np.float32([1, 2, 4, 8]) / 64).reshape(4, 1, 1, 1)
    assert np.array_equal(numpy_helper.to_array(after.graph.initializer[0]), expected)


def test_a_rounded_number_that_spells_an_activation_is_the_number_itself(tmp_path):
    nodes = [
        node("Div", ["x", "root"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["a"]),
        node("Mul", ["x", "a"], ["m"]),
        node("Mul", ["m", "half"], ["y"]),
    ]
    numbers = {name: np.array(value, np.float16) for name, value in (("root", 2**0.5), ("one", 1.0), ("half", 0.5))}
    after = optimized(model(nodes, numbers, kind=TensorProto.FLOAT16, opset=20), tmp_path)
    assert op_types(after) == ["Gelu"]
