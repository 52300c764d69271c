"""Shapes: what the user fixes, what the batch becomes, and what is left unknown."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from axbuild.codes import exit_code_of
from axbuild.toolchain.frontend import shapes
from axbuild.toolchain.frontend.check import NotRunnableError
from axbuild.toolchain.frontend.input_shapes import InputShapeError
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.shapes import ShapeInferenceError
from axbuild.toolchain.frontend.support import UnsupportedModelError
from frontend_world import model, node, normal, optimized


def conv(shape):
    nodes = [node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]), node("Relu", ["c"], ["y"])]
    return model(nodes, {"w": normal(4, 3, 3, 3)}, inputs=(("x", shape),))


def shapes_of(proto):
    values = (*proto.graph.input, *proto.graph.value_info, *proto.graph.output)
    return {value.name: [item.dim_value for item in value.type.tensor_type.shape.dim] for value in values}


def test_every_tensor_has_a_static_shape(tmp_path):
    proto = optimized(conv([1, 3, 8, 6]), tmp_path)
    assert shapes_of(proto) == {"x": [1, 3, 8, 6], "c": [1, 4, 8, 6], "y": [1, 4, 8, 6]}


@pytest.mark.parametrize("batch", ["N", None, -1, 0, "batch_size"])
def test_an_unknown_batch_becomes_one(tmp_path, batch):
    assert shapes_of(optimized(conv([batch, 3, 8, 8]), tmp_path))["y"] == [1, 4, 8, 8]


def test_input_shapes_fix_what_the_model_leaves_open(tmp_path):
    assert shapes_of(optimized(conv(["N", 3, "?", None]), tmp_path, x=(1, 3, 10, 12)))["y"] == [1, 4, 10, 12]


def test_input_shapes_change_what_the_model_states(tmp_path):
    proto = conv([1, 3, 8, 8])
    proto.graph.value_info.append(proto.graph.output[0])
    assert shapes_of(optimized(proto, tmp_path, x=(2, 3, 4, 4)))["c"] == [2, 4, 4, 4]


def test_interface_describes_inputs_and_outputs(tmp_path):
    optimized(conv([1, 3, 8, 6]), tmp_path)
    assert json.loads((tmp_path / "out/interface.json").read_text()) == {
        "inputs": [{"name": "x", "shape": [1, 3, 8, 6], "dtype": "float32"}],
        "outputs": [{"name": "y", "shape": [1, 4, 8, 6], "dtype": "float32"}],
    }


def test_an_unknown_dimension_names_the_input_and_the_attribute_to_set(tmp_path):
    with pytest.raises(InputShapeError) as caught:
        optimized(conv(["N", 3, "height", None]), tmp_path)
    assert caught.value.sentence == "input 'x' has unknown dimensions: [N, 3, height, ?]"
    assert caught.value.hint == 'set input_shapes = { "x" = [1, 3, ..., ...] } on the float_model'
    assert exit_code_of(caught.value.code) == 2


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"z": (1, 3, 8, 8)}, "input_shapes names 'z', and the model's inputs are x"),
        ({"x": (1, 3, 8)}, r"gives 'x' 3 dimensions \[1, 3, 8\], and the model has 4"),
        ({"x": (1, 3, 0, 8)}, "every dimension must be 1 or more"),
        ({"x": (1, 3, 2**20, 2**20)}, "more than 268435456 elements"),
    ],
)
def test_input_shapes_that_do_not_fit_are_errors(tmp_path, wanted, sentence):
    with pytest.raises(InputShapeError, match=sentence):
        optimized(conv([1, 3, 8, 8]), tmp_path, **wanted)


def test_a_shape_the_operators_cannot_take_is_an_error(tmp_path):
    with pytest.raises(NotRunnableError, match=r"onnxruntime does not run the model: .*'conv'") as caught:
        optimized(conv([1, 3, 8, 8]), tmp_path, x=(1, 5, 8, 8))
    assert exit_code_of(caught.value.code) == 2


def test_a_shape_that_depends_on_data_is_named_in_graph_and_interface(tmp_path):
    nodes = [
        node("NonZero", ["x"], ["n"], name="find"),
        node("Cast", ["n"], ["f"], to=1),
        node("Relu", ["f"], ["y"]),
    ]
    proto = optimized(model(nodes), tmp_path)
    (output,) = json.loads((tmp_path / "out/interface.json").read_text())["outputs"]
    assert (output["dtype"], len(output["shape"]), output["shape"][0]) == ("float32", 2, 4)
    assert isinstance(output["shape"][1], str)
    assert [item.op_type for item in proto.graph.node] == ["NonZero", "Cast", "Relu"]


def test_a_shape_that_is_unknown_without_depending_on_data_names_tensor_and_node():
    proto = model([node("Relu", ["x"], ["a"], name="act"), node("Relu", ["a"], ["y"])])
    light = LightModel(proto)
    shapes.infer(light)
    light.proto.graph.value_info[0].type.tensor_type.shape.dim[2].dim_param = "H"
    with pytest.raises(ShapeInferenceError, match=r"tensor 'a', output of node 'act' \(Relu\): \[1, 3, H, 8\]"):
        shapes.require_static(light)


def test_boxes_that_are_picked_pass_through(tmp_path):
    nodes = [node("NonMaxSuppression", ["boxes", "scores", "k"], ["y"], name="nms")]
    proto = model(nodes, {"k": np.array([3])}, inputs=(("boxes", [1, 6, 4]), ("scores", [1, 2, 6])))
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert [item.op_type for item in optimized(proto, tmp_path).graph.node] == ["NonMaxSuppression"]
    (output,) = json.loads((tmp_path / "out/interface.json").read_text())["outputs"]
    assert (output["dtype"], output["shape"][1]) == ("int64", 3)


@pytest.mark.parametrize("kind", ["INT32", "INT64", "BOOL"])
def test_inputs_may_be_integers_and_booleans(tmp_path, kind):
    nodes = [node("Cast", ["x"], ["i"], to=onnx.TensorProto.INT64), node("Gather", ["w", "i"], ["y"], name="embed")]
    proto = model(nodes, {"w": normal(2, 64)}, inputs=(("x", [1, 5]),))
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DataType.Value(kind)
    after = optimized(proto, tmp_path)
    assert [item.name for item in after.graph.node if item.op_type == "Gather"] == ["embed"]
    interface = json.loads((tmp_path / "out/interface.json").read_text())
    assert interface["inputs"] == [{"name": "x", "shape": [1, 5], "dtype": kind.lower()}]


def test_a_scalar_input_becomes_one_of_one_element(tmp_path):
    nodes = [node("Mul", ["x", "s"], ["y"], name="scale")]
    assert shapes_of(optimized(model(nodes, inputs=(("x", [1, 3]), ("s", []))), tmp_path))["s"] == [1]


@pytest.mark.parametrize("length", ["length", None])
def test_the_only_dimension_of_an_input_is_no_batch(tmp_path, length):
    with pytest.raises(InputShapeError, match=r"input 'x' has unknown dimensions") as caught:
        optimized(model([node("Relu", ["x"], ["y"])], inputs=(("x", [length]),)), tmp_path)
    assert caught.value.hint == 'set input_shapes = { "x" = [...] } on the float_model'


def test_shapes_computed_in_the_graph_are_folded(tmp_path):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axis"], ["n1"]),
        node("Concat", ["n1", "minus"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["y"]),
    ]
    weights = {"zero": np.int64(0), "axis": np.array([0]), "minus": np.array([-1])}
    proto = optimized(model(nodes, weights, inputs=(("x", ["N", 3, 4, 4]),)), tmp_path)
    assert [item.op_type for item in proto.graph.node] == ["Reshape"]
    assert shapes_of(proto)["y"] == [1, 48]


def test_a_tensor_of_absurd_size_is_named_before_anything_runs(tmp_path):
    pads = np.array([0, 0, 0, 0, 0, 0, 2**28, 2**10])
    proto = model([node("Pad", ["x", "p"], ["a"]), node("Relu", ["a"], ["y"])], {"p": pads})
    with pytest.raises(ShapeInferenceError, match=r"tensor 'a' has the shape \[1, 3, 268435464, 1032\], larger than"):
        optimized(proto, tmp_path)


def test_a_shape_that_contradicts_an_operator_names_its_node(tmp_path):
    nodes = [node("Reshape", ["x", "s"], ["a"], name="turn"), node("Relu", ["a"], ["y"])]
    proto = model(nodes, {"s": np.array([-1, 7])})
    with pytest.raises(ShapeInferenceError) as caught:
        optimized(proto, tmp_path)
    assert caught.value.sentence.startswith("shapes do not follow through the model: node 'turn' (Reshape): ")
    assert "Relu" not in caught.value.sentence


@pytest.mark.parametrize(
    ("nodes", "opset"),
    [
        # ONNX's inference says nothing of the first, and fails on the second's own body.
        ([node("GroupNormalization", ["x", "k", "k"], ["a"], name="n", num_groups=3)], 21),
        ([node("MeanVarianceNormalization", ["x"], ["a"], name="n")], 13),
    ],
)
def test_shapes_that_inference_does_not_know_are_seen_in_a_run(tmp_path, nodes, opset):
    proto = model([*nodes, node("Relu", ["a"], ["y"], name="act")], {"k": normal(3)}, opset=opset)
    shapes_ = shapes_of(optimized(proto, tmp_path))
    assert (shapes_["a"], shapes_["y"]) == ([1, 3, 8, 8], [1, 3, 8, 8])


def test_a_result_without_dimensions_is_compared_too(tmp_path):
    proto = model([node("MatMul", ["x", "x"], ["y"], name="dot")], inputs=(("x", [5]),))
    assert shapes_of(optimized(proto, tmp_path)) == {"x": [5], "y": []}


def test_types_that_numpy_has_not_are_named(tmp_path):
    proto = model(
        [node("Cast", ["x"], ["b"], to=onnx.TensorProto.FLOAT8E5M2), node("Cast", ["b"], ["y"], to=1)], opset=19
    )
    with pytest.raises(UnsupportedModelError, match="tensor 'b' is float8e5m2, which no chip computes with"):
        optimized(proto, tmp_path)
