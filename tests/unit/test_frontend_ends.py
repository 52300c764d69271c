"""Models cut to size: inputs that are fixed, tensors that become inputs and outputs, and other names."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from axbuild.codes import exit_code_of
from axbuild.toolchain.frontend.ends import EndsError
from axbuild.toolchain.frontend.input_shapes import InputShapeError
from axbuild.toolchain.frontend.optimize import OptimizeParams
from frontend_world import assert_same_results, model, node, normal, op_types, optimized


def network():
    """image, scale -> stem -> neck -> (scores; boxes behind what ONNX does not define)."""
    nodes = [
        node("Conv", ["image", "w"], ["stem"], name="conv"),
        node("Mul", ["stem", "scale"], ["neck"], name="mul"),
        node("Split", ["neck"], ["left", "right"], name="split", axis=1, num_outputs=2),
        node("Tanh", ["left"], ["scores"], name="tanh"),
        node("Strange", ["right"], ["boxes"], name="strange", domain="acme"),
    ]
    proto = model(nodes, {"w": normal(4, 3, 3, 3)}, inputs=(("image", ["n", 3, 8, 8]),), outputs=("scores", "boxes"))
    proto.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]))
    proto.opset_import.append(helper.make_opsetid("acme", 1))
    return proto


def ends(**more):
    return OptimizeParams(**more)


def names(proto):
    return [value.name for value in proto.graph.input], [value.name for value in proto.graph.output]


def test_outputs_cut_off_what_only_follows_from_them(tmp_path):
    after = optimized(network(), tmp_path, params=ends(outputs=("scores",)))
    assert names(after) == (["image", "scale"], ["scores"])
    assert "Strange" not in op_types(after)


def test_an_output_may_be_any_tensor_and_inputs_it_does_not_need_go(tmp_path, recwarn):
    after = optimized(network(), tmp_path, params=ends(outputs=("stem",)))
    assert names(after) == (["image"], ["stem"])
    assert op_types(after) == ["Conv"]
    assert not recwarn.list


def test_inputs_cut_off_what_leads_to_them(tmp_path):
    after = optimized(network(), tmp_path, params=ends(inputs=("neck",), outputs=("scores",)))
    assert names(after) == (["neck"], ["scores"])
    assert "Conv" not in op_types(after)
    assert json.loads((tmp_path / "out/interface.json").read_text())["inputs"] == [
        {"name": "neck", "shape": [1, 4, 6, 6], "dtype": "float32"}
    ]


def test_one_of_several_outputs_of_a_node_may_be_an_input(tmp_path):
    proto = network()
    proto.graph.node[-1].CopyFrom(node("Relu", ["right"], ["boxes"], name="relu"))
    after = optimized(proto, tmp_path, params=ends(inputs=("right", "image", "scale")))
    assert names(after) == (["right", "image", "scale"], ["scores", "boxes"])


def test_a_fixed_input_is_a_constant(tmp_path):
    before = network()
    after = optimized(before, tmp_path, params=ends(fix={"scale": 3}, outputs=("neck",)))
    assert names(after) == (["image"], ["neck"])
    assert op_types(after) == ["Conv"]
    weights = {tuple(item.dims): numpy_helper.to_array(item) for item in after.graph.initializer}
    assert np.array_equal(weights[4, 3, 3, 3], 3 * normal(4, 3, 3, 3))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([[1, 2], [3, 4.5]], [[1, 2], [3, 4.5]]),
        (2, [[2, 2], [2, 2]]),
    ],
)
def test_a_value_is_a_list_of_the_shape_or_one_number_for_all_elements(tmp_path, given, expected):
    proto = model([node("Max", ["x", "k"], ["y"])], inputs=(("x", [1, 2, 2]), ("k", [2, 2])))
    after = optimized(proto, tmp_path, params=ends(fix={"k": given}))
    (constant,) = after.graph.initializer
    assert numpy_helper.to_array(constant).tolist() == expected


def test_a_list_settles_the_shape_that_the_model_leaves_open(tmp_path):
    proto = model([node("Max", ["x", "k"], ["y"])], inputs=(("x", [1, 3]), ("k", ["length"])))
    after = optimized(proto, tmp_path, params=ends(fix={"k": [1, 2, 3]}))
    assert list(after.graph.initializer[0].dims) == [3]


def test_a_large_value_is_a_weight(tmp_path):
    proto = model([node("Max", ["x", "k"], ["y"])], inputs=(("x", [1, 1024]), ("k", [1024])))
    after = optimized(proto, tmp_path, params=ends(fix={"k": 0.5}))
    assert [list(item.dims) for item in after.graph.initializer] == [[1024]]


def test_inputs_and_outputs_get_other_names(tmp_path):
    proto = model([node("Conv", ["x", "w"], ["c"], name="conv"), node("Tanh", ["c"], ["y"])], {"w": normal(4, 3, 3, 3)})
    params = ends(input_shapes={"x": (2, 3, 8, 8)}, rename={"x": "image", "y": "scores"})
    after = optimized(proto, tmp_path, params=params)
    assert names(after) == (["image"], ["scores"])
    assert after.graph.node[0].name == "conv"
    inputs = after.graph.input[0].type.tensor_type.shape
    assert [item.dim_value for item in inputs.dim] == [2, 3, 8, 8]


def test_two_names_may_be_exchanged(tmp_path):
    before = model([node("Sub", ["a", "b"], ["y"])], inputs=(("a", [1, 3]), ("b", [1, 3])))
    after = optimized(before, tmp_path, params=ends(rename={"a": "b", "b": "a"}))
    assert names(after) == (["b", "a"], ["y"])
    assert list(after.graph.node[0].input) == ["b", "a"]


def test_cuts_that_change_nothing_leave_the_model_as_it_computes(tmp_path):
    before = model([node("Conv", ["x", "w"], ["y"])], {"w": normal(16, 3, 3, 3)})
    after = optimized(before, tmp_path, params=ends(inputs=("x",), outputs=("y",)))
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("params", "sentence", "hint"),
    [
        (
            {"outputs": ("score",)},
            "outputs names 'score', and the model has no tensor of that name",
            "did you mean 'scores'",
        ),
        ({"inputs": ("nek",)}, "inputs names 'nek', and the model has no tensor of that name", "did you mean 'neck'?"),
        ({"outputs": ("w",)}, "outputs names 'w', and the model has no tensor of that name", "it has stem, neck"),
        (
            {"inputs": ("stem",), "outputs": ("scores",)},
            "what `inputs` names does not cover the model's input 'scale': node 'mul' (Mul) reads it",
            "add 'scale' to `inputs`, or give it a value with `fix`",
        ),
        (
            {"inputs": ("image", "right", "scale"), "outputs": ("scores",)},
            "inputs names 'right', which no output of the model follows from",
            "leave it out",
        ),
        ({"fix": {"scal": 1}}, "fix names 'scal', and the model has no input of that name", "did you mean 'scale'?"),
        ({"fix": {"scale": True}}, "fix gives 'scale' true, and the model's input is float32", ""),
        ({"fix": {"scale": [1, 2]}}, "fix gives 'scale' a list of shape [2], and the model's input is [1]", ""),
        ({"fix": {"scale": [[1], [1, 2]]}}, "fix gives 'scale' lists of different lengths", ""),
        ({"fix": {"scale": 1, "image": 0}}, "fix makes every input of the model constant", "leave one as it is"),
        (
            {"rename": {"imag": "x"}},
            "rename names 'imag', and the model has no input or output",
            "did you mean 'image'?",
        ),
        ({"rename": {"image": "scale"}}, "rename gives 'image' the name 'scale', which another tensor has", ""),
        ({"rename": {"image": "w"}}, "rename gives 'image' the name 'w', which another tensor has", ""),
    ],
)
def test_what_does_not_fit_the_model_is_named_with_what_does(tmp_path, params, sentence, hint):
    with pytest.raises(EndsError) as caught:
        optimized(network(), tmp_path, params=ends(**({"outputs": ("scores",)} | params)))
    assert caught.value.sentence.startswith(sentence)
    assert caught.value.hint.startswith(hint)
    assert exit_code_of(caught.value.code) == 2


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (TensorProto.INT64, 0.5, "0.5, and the model's input is int64"),
        (TensorProto.INT32, 2**31, "2147483648, and the model's input is int32"),
        (TensorProto.BOOL, 1, "1, and the model's input is bool"),
    ],
)
def test_a_value_that_is_not_of_the_input_s_type_is_refused(tmp_path, kind, value, told):
    proto = model([node("Cast", ["k"], ["f"], to=1), node("Add", ["x", "f"], ["y"])])
    proto.graph.input.append(helper.make_tensor_value_info("k", kind, [1]))
    with pytest.raises(EndsError, match=f"fix gives 'k' {told}"):
        optimized(proto, tmp_path, params=ends(fix={"k": value}))


def test_a_dimension_with_a_name_has_one_size_in_all_inputs(tmp_path):
    nodes = [node("Add", ["ids", "mask"], ["a"]), node("Add", ["a", "state"], ["y"])]
    inputs = (("ids", ["batch", "length"]), ("mask", ["batch", "length"]), ("state", [1, "batch_size", "length"]))
    after = optimized(model(nodes, inputs=inputs), tmp_path, params=ends(input_shapes={"ids": (1, 7)}))
    shapes = [[item.dim_value for item in value.type.tensor_type.shape.dim] for value in after.graph.input]
    assert shapes == [[1, 7], [1, 7], [1, 1, 7]]


def test_the_line_to_write_names_every_input_that_is_open(tmp_path):
    inputs = (("x", ["n", 3, "h", None]), ("s", [2, None, 4]), ("k", [1]))
    proto = model([node("Add", ["x", "s"], ["a"]), node("Add", ["a", "k"], ["y"])], inputs=inputs)
    with pytest.raises(InputShapeError) as caught:
        optimized(proto, tmp_path, params=ends(input_shapes={"k": (1,)}))
    assert caught.value.sentence == (
        "input 'x' has unknown dimensions: [n, 3, h, ?], 's' has unknown dimensions: [2, ?, 4]"
    )
    assert caught.value.hint == (
        'set input_shapes = { "k" = [1], "x" = [1, 3, ..., ...], "s" = [2, ..., 4] } on the float_model'
    )


def test_a_cut_model_is_still_a_model(tmp_path):
    onnx.checker.check_model(optimized(network(), tmp_path, params=ends(outputs=("left", "neck"))))
