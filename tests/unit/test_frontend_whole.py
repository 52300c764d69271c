"""Whole numbers, signs and places, by operators that chips have."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantised import float_run
from random_graphs.proof import optimized

from axbuild.toolchain.rewrites.last_of_equal import LastOfEqual
from axbuild.toolchain.rewrites.mod_to_div import ModToDiv
from axbuild.toolchain.rewrites.pair_operands import PairOperands
from axbuild.toolchain.rewrites.plain_reduction import DropReduction
from axbuild.toolchain.rewrites.sign_to_compare import SignToCompare
from axbuild.toolchain.rewrites.whole_powers import WholePowers
from frontend_world import model, node, op_types, rewritten

WHOLE = np.array([[-7, -5, -4, -1, 0, 1], [2, 3, 4, 6, 8, 9]])
INT32, INT64, FLOAT = TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT


def after_the_front_end(nodes, x, **weights):
    """(op types, outputs) of a model that reads x, which are onnxruntime's own outputs of it."""
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    proto = model(nodes, weights, inputs=(("x", list(x.shape)),), kind=kind, opset=20)
    inferred = onnx.shape_inference.infer_shapes(
        model(nodes, weights, inputs=(("x", list(x.shape)),), kind=kind, opset=20)
    )
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    proto.graph.output[0].type.tensor_type.elem_type = types.get("y", INT64 if nodes[-1].op_type[:3] == "Arg" else kind)
    done = optimized(proto)
    (found,), (expected,) = float_run(done, {"x": x}), float_run(proto, {"x": x})
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    return op_types(done), found


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("divisor", [3, -3, 1, -1])
@pytest.mark.parametrize("fmod", [0, 1])
def test_what_is_left_of_a_division_has_the_sign_that_onnx_says(dtype, divisor, fmod):
    kinds, found = after_the_front_end(
        [node("Mod", ["x", "d"], ["y"], fmod=fmod)], WHOLE.astype(dtype), d=np.array(divisor, dtype)
    )
    assert "Mod" not in kinds
    assert np.array_equal(found, (np.fmod if fmod else np.mod)(WHOLE, divisor))


def test_what_is_left_fits_32_bits_whatever_is_divided():
    from axbuild.toolchain.ops.fused import without_integer_form
    from frontend_world import with_shapes

    proto = model([node("Mod", ["x", "d"], ["y"])], {"d": np.int32([5])}, inputs=(("x", [2, 3]),), kind=INT32)
    after, _ = rewritten(ModToDiv(), proto)
    assert [without_integer_form(one) for one in with_shapes(after).graph] == [""] * 7


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_signs_are_comparisons(dtype):
    kinds, found = after_the_front_end([node("Sign", ["x"], ["y"])], WHOLE.astype(dtype))
    assert "Sign" not in kinds
    assert np.array_equal(found, np.sign(WHOLE))


@pytest.mark.parametrize("exponent", [1, 2, 3, 5])
def test_powers_of_whole_numbers_are_products(exponent):
    kinds, found = after_the_front_end(
        [node("Pow", ["x", "k"], ["p"]), node("Neg", ["p"], ["y"])],
        WHOLE.astype(np.int32),
        k=np.array(exponent, np.int32),
    )
    assert kinds.count("Mul") == exponent - 1
    assert np.array_equal(found, -(WHOLE**exponent))


@pytest.mark.parametrize("op_type", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize(("axis", "keepdims"), [(0, 1), (1, 0), (-1, 1)])
def test_the_last_of_equal_elements_is_the_first_from_behind(op_type, axis, keepdims):
    given = {"axis": axis, "keepdims": keepdims, "select_last_index": 1}
    proto = model([node(op_type, ["x"], ["y"], **given)], inputs=(("x", [3, 7]),))
    proto.graph.output[0].type.tensor_type.elem_type = INT64
    after, reasons = rewritten(LastOfEqual(), proto)
    assert (op_types(after), [*reasons.values()]) == (
        ["Slice", op_type, "Sub"],
        [f"{op_type} gives the first of equal elements"],
    )
    x = np.random.default_rng(0).integers(0, 3, (3, 7)).astype(np.float32)
    (found,), (expected,) = float_run(after, {"x": x}), float_run(proto, {"x": x})
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("op_type", ["Max", "Min", "Sum", "Mean"])
def test_an_operator_of_many_takes_one_operand_too(op_type):
    nodes = [node(op_type, ["x"], ["one"]), node("Relu", ["one"], ["y"])]
    after, _ = rewritten(PairOperands(), model(nodes))
    assert op_types(after) == ["Relu"]


def test_a_mean_of_tensors_is_a_share_of_their_sum():
    after, _ = rewritten(PairOperands(), model([node("Mean", ["x", "w", "x"], ["y"])], {"w": np.float32([2.5])}))
    assert op_types(after) == ["Add", "Add", "Mul"]
    shares = [numpy_helper.to_array(one) for one in after.graph.initializer if one.name.endswith("share")]
    assert shares == [np.float32(1 / 3)]


@pytest.mark.parametrize("given", [["x"], ["x", "low"], ["x", "", "high"], ["x", "low", "high"]])
def test_a_clamp_of_whole_numbers_takes_the_bounds_that_there_are(given):
    nodes = [node("Clip", given, ["c"]), node("Neg", ["c"], ["y"])]
    kinds, _ = after_the_front_end(nodes, WHOLE.astype(np.int32), low=np.int32(-3), high=np.int32(4))
    assert kinds == [*(["Max"] if "low" in given else []), *(["Min"] if "high" in given else []), "Neg"]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_constants_beside_whole_numbers_are_added(dtype):
    nodes = [node("Concat", ["w", "x", "w"], ["y"], axis=1)]
    kinds, _ = after_the_front_end(nodes, WHOLE.astype(dtype), w=np.array([[3], [-4]], dtype))
    assert kinds == ["Pad", "Add"]


def test_why_a_sign_a_power_or_a_rest_stays():
    reasons = {
        ModToDiv: ("Mod", ["x", "x"], {"fmod": 1}, "Mod is not of whole numbers"),
        WholePowers: ("Pow", ["x", "x"], {}, "Pow is not of whole numbers"),
    }
    for rewrite, (op_type, inputs, given, reason) in reasons.items():
        _, found = rewritten(rewrite(), model([node(op_type, inputs, ["y"], name="n", **given)]))
        assert found == {"n": reason}
    flags = model([node("Greater", ["x", "x"], ["b"]), node("Not", ["b"], ["y"])], inputs=(("x", [2, 3]),))
    flags.graph.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    assert rewritten(SignToCompare(), flags)[1] == {}


@pytest.mark.parametrize("op_type", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"])
def test_a_reduction_of_no_axes_does_nothing(op_type):
    for inputs, weights in ((["x"], {}), (["x", "axes"], {"axes": np.zeros(0, np.int64)})):
        nodes = [node(op_type, inputs, ["r"], noop_with_empty_axes=1), node("Relu", ["r"], ["y"])]
        after, _ = rewritten(DropReduction(), model(nodes, weights))
        assert op_types(after) == ["Relu"]


@pytest.mark.parametrize(("op_type", "expected"), [("ReduceMax", [1, 1, 0]), ("ReduceMin", [1, 0, 0])])
def test_truth_values_are_reduced_as_numbers(op_type, expected):
    nodes = [
        node("Cast", ["x"], ["b"], to=TensorProto.BOOL),
        node(op_type, ["b", "axes"], ["r"], keepdims=0),
        node("Cast", ["r"], ["y"], to=FLOAT),
    ]
    x = np.float32([[1, 2, 3], [0, 1, 0], [0, 0, 0]])
    kinds, found = after_the_front_end(nodes, x, axes=np.int64([1]))
    assert kinds.count(op_type) == 1
    assert found.tolist() == expected
