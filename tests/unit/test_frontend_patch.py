"""op_processors and const_processors: the float model, patched before anything else happens to it."""

from __future__ import annotations

import io
import re

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from axbuild.toolchain.frontend.attributes import OpPatch, PatchError
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.frontend.patch import ConstantPatch, PatchParams, patch
from axbuild.toolchain.graph import MODEL_FILE
from frontend_world import model, node, normal, place


def pooled():
    """A network that ends in pool6, reshaped; a mask of truth values stands in a Constant node."""
    nodes = [
        node("AveragePool", ["x"], ["p"], name="pool6", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["p", "", "scales"], ["r"], name="resize", mode="nearest"),
        node("Constant", [], ["gain"], name="k", value_floats=[2.0]),
        node("Mul", ["r", "gain"], ["y"], name="mul"),
    ]
    return model(nodes, {"scales": np.float32([1, 1, 2, 2])}, inputs=(("x", [1, 3, 7, 7]),))


def reshaped():
    nodes = [
        node("MatMul", ["x", "w"], ["m"], name="mm"),
        node("Reshape", ["m", "reshape_0_shape"], ["y"], name="reshape_0"),
    ]
    weights = {"w": normal(48, 48), "reshape_0_shape": np.int64([1, 96, 48])}
    return model(nodes, weights, inputs=(("x", [1, 96, 48]),))


def patched(tmp_path, proto, *, ops=(), constants=(), files=()):
    """The model behind the patches, and what was said of them."""
    paths = []
    for number, content in enumerate(files):
        paths.append(tmp_path / f"values{number}")
        paths[-1].write_bytes(content)
    with pytest.warns() as told:
        patch(place(proto, tmp_path / "in"), paths, tmp_path, params=PatchParams(tuple(ops), tuple(constants)))
    return onnx.load(tmp_path / "patched" / MODEL_FILE), [str(one.message.sentence) for one in told]


def constant(proto, name):
    return next(numpy_helper.to_array(item) for item in proto.graph.initializer if item.name == name)


def shape_of_output(tmp_path):
    """Of the optimised model."""
    out = tmp_path / "optimised"
    out.mkdir()
    optimize(tmp_path / "patched", out, params=OptimizeParams())
    (output,) = onnx.load(out / "optimized" / MODEL_FILE).graph.output
    return [size.dim_value for size in output.type.tensor_type.shape.dim]


def test_ceil_mode_of_pool6_changes_the_shape_of_the_output(tmp_path):
    _, told = patched(tmp_path, pooled(), ops=[OpPatch("pool6", {"ceil_mode": 1})])
    assert told == ["set op 'pool6' (AveragePool) attr 'ceil_mode' to 1, which was 0"]
    assert shape_of_output(tmp_path) == [1, 3, 8, 8]  # 3 x 3, doubled, without it


def test_attributes_of_every_type_are_set(tmp_path):
    attrs = {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [1, 1]}
    done, told = patched(tmp_path, pooled(), ops=[OpPatch("pool6", attrs)])
    set_ = {item.name: helper.get_attribute_value(item) for item in done.graph.node[0].attribute}
    assert set_ == {"kernel_shape": [3, 3], "auto_pad": b"SAME_UPPER", "strides": [1, 1]}
    assert told[1] == "set op 'pool6' (AveragePool) attr 'auto_pad' to SAME_UPPER, which was NOTSET"


def test_a_shape_becomes_that_of_the_build_file_and_keeps_its_type(tmp_path):
    done, told = patched(tmp_path, reshaped(), constants=[ConstantPatch("reshape_0_shape", [-1, 96, 48])])
    assert told == ["update data of const tensor 'reshape_0_shape' to [-1, 96, 48], S64"]
    assert constant(done, "reshape_0_shape").dtype == np.int64
    assert constant(done, "reshape_0_shape").tolist() == [-1, 96, 48]
    assert shape_of_output(tmp_path) == [1, 96, 48]


def test_a_large_weight_and_a_value_in_a_node_are_constants_too(tmp_path):
    wanted = normal(48, 48) + 1
    done, told = patched(tmp_path, reshaped(), constants=[ConstantPatch("w", wanted.tolist())])
    assert np.array_equal(constant(done, "w"), wanted)
    assert re.fullmatch(r"update data of const tensor 'w' to \[.*, \.\.\.] \(2,304 values\), FP32", told[0])


def test_a_value_inside_a_node_is_replaced_there(tmp_path):
    done, _ = patched(tmp_path, pooled(), constants=[ConstantPatch("gain", 3)])
    assert list(done.graph.node[2].attribute[0].floats) == [3.0]


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("npy", _npy(np.int32([-1, 96, 48]))),
        ("bin", np.int64([-1, 96, 48]).tobytes()),
        ("txt", b"-1, 96\n48"),
    ],
)
def test_values_come_from_files_of_three_forms(tmp_path, form, content):
    constants = [ConstantPatch("reshape_0_shape", form=form)]
    done, _ = patched(tmp_path, reshaped(), constants=constants, files=[content])
    assert constant(done, "reshape_0_shape").tolist() == [-1, 96, 48]


@pytest.mark.parametrize(
    ("op", "attrs", "sentence", "hint"),
    [
        ("pol6", {"ceil_mode": 1}, "op_processors is for the operator 'pol6', and the model has none of that name",
         "did you mean pool6?"),
        ("pool7", {"ceil_mode": 1}, "op_processors is for the operator 'pool7', and the model has none of that name",
         ""),
        ("pool6", {"ceil_mod": 1}, "op_processors sets 'ceil_mod' of 'pool6', and AveragePool of opset 18 has no such "
         "attribute", "did you mean ceil_mode?"),
        ("pool6", {"ceil_mode": 1.5}, "op_processors sets 'ceil_mode' of 'pool6' (AveragePool) to 1.5, and it takes a "
         "whole number", ""),
        ("pool6", {"kernel_shape": 3}, "op_processors sets 'kernel_shape' of 'pool6' (AveragePool) to 3, and it takes "
         "a list of whole numbers", ""),
        ("k", {"value": 3}, "op_processors sets 'value' of 'k' (Constant), which is a tensor", ""),
    ],
)  # fmt: skip
def test_an_operator_patch_that_does_not_fit_is_an_error(tmp_path, op, attrs, sentence, hint):
    with pytest.raises(PatchError) as raised:
        patch(place(pooled(), tmp_path / "in"), [], tmp_path, params=PatchParams((OpPatch(op, attrs),)))
    assert (raised.value.sentence, raised.value.hint) == (sentence, hint)


SHAPE = "the constant 'reshape_0_shape' is int64 [3]"


@pytest.mark.parametrize(
    ("one", "content", "sentence", "hint"),
    [
        (ConstantPatch("reshape_0", [1]), b"",
         "const_processors names 'reshape_0', and the model has no constant of that name",
         "did you mean reshape_0_shape?"),
        (ConstantPatch("m", [1]), b"", "const_processors names 'm', which 'mm' computes: it is no constant", ""),
        (ConstantPatch("x", [1]), b"", "const_processors names 'x', which is an input: it is no constant", ""),
        (ConstantPatch("reshape_0_shape", [1, 4608]), b"", f"{SHAPE}, 3 values, and data has 2 values", ""),
        (ConstantPatch("reshape_0_shape", [1, 96, 48.5]), b"",
         f"{SHAPE}, and data has 48.5, which that type does not hold", ""),
        (ConstantPatch("reshape_0_shape", [1, 96, 1e300]), b"",
         f"{SHAPE}, and data has 1e+300, which that type does not hold", ""),
        (ConstantPatch("reshape_0_shape", [[1, 2], [3]]), b"",
         "data for the constant 'reshape_0_shape' has lists of different lengths", ""),
        (ConstantPatch("reshape_0_shape", form="bin"), b"12", f"{SHAPE}, 24 bytes, and its .bin file has 2 bytes", ""),
        (ConstantPatch("reshape_0_shape", form="npy"), _npy(np.int64([[1, 2, 3]])),
         f"{SHAPE}, 3 values, and its .npy file has [1, 3]", ""),
        (ConstantPatch("reshape_0_shape", form="txt"), b"1 96 x",
         "the .txt file for the constant 'reshape_0_shape' has 'x', which is no number", ""),
    ],
)  # fmt: skip
def test_a_constant_that_does_not_fit_is_an_error(tmp_path, one, content, sentence, hint):
    (tmp_path / "values").write_bytes(content)
    files = [tmp_path / "values"] if one.form else []
    with pytest.raises(PatchError) as raised:
        patch(place(reshaped(), tmp_path / "in"), files, tmp_path, params=PatchParams((), (one,)))
    assert (raised.value.sentence, raised.value.hint) == (sentence, hint)


def test_a_name_that_two_operators_inside_branches_have_is_refused(tmp_path):
    def branch(op_type):
        output = helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, None)
        return helper.make_graph([node(op_type, ["x"], ["b"], name="same")], op_type, [], [output])

    proto = model([node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Abs"))])
    proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    with pytest.raises(PatchError, match="op_processors is for the operator 'same', and 2 are called so"):
        patch(place(proto, tmp_path / "in"), [], tmp_path, params=PatchParams((OpPatch("same", {"a": 1}),)))
