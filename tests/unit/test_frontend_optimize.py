"""The front end as a whole: names, folding, old opsets, the light models of the onnx wheel, and bytes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from axbuild.errors import AxWarning
from axbuild.toolchain.frontend.shapes import ShapeInferenceError
from axbuild.toolchain.graph import OPSET, ORIGINS
from frontend_world import LIGHT, assert_same_results, model, node, normal, op_types, optimized, with_random_weights


def test_nodes_get_unique_names_and_keep_those_they_have(tmp_path):
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Sigmoid", ["a"], ["b"], name="same"),
        node("Tanh", ["b"], ["c"], name="same"),
        node("Relu", ["c"], ["y"], name="Relu_0"),
    ]
    proto = optimized(model(nodes), tmp_path)
    assert [item.name for item in proto.graph.node] == ["Relu_0_1", "same", "same_2", "Relu_0"]


def test_identities_dropouts_and_dead_nodes_go(tmp_path):
    nodes = [
        node("Identity", ["x"], ["a"]),
        node("Dropout", ["a"], ["b", "mask"]),
        node("Relu", ["b"], ["c"], name="kept"),
        node("Sigmoid", ["c"], ["unused"]),
        node("Identity", ["c"], ["y"]),
    ]
    proto = optimized(model(nodes, {"never": normal(5)}), tmp_path)
    assert [(item.op_type, item.name, *item.input, *item.output) for item in proto.graph.node] == [
        ("Relu", "kept", "x", "y")
    ]
    assert not proto.graph.initializer


def test_two_outputs_of_one_value_keep_their_names(tmp_path):
    nodes = [node("Relu", ["x"], ["r"]), node("Identity", ["r"], ["y"]), node("Identity", ["r"], ["z"])]
    before = model(nodes, outputs=("y", "z"))
    after = optimized(before, tmp_path)
    assert [value.name for value in after.graph.output] == ["y", "z"]
    assert_same_results(before, after, tolerance=0.0)


def test_an_output_that_is_an_input_is_named(tmp_path):
    with pytest.raises(ShapeInferenceError, match="output 'x' is an input handed through"):
        optimized(model([node("Relu", ["x"], ["y"])], outputs=("y", "x")), tmp_path)


def test_an_output_that_no_input_reaches_is_named(tmp_path):
    nodes = [node("Relu", ["x"], ["y"]), node("Sqrt", ["k"], ["z"])]
    with pytest.raises(ShapeInferenceError, match="output 'z' does not depend on any input"):
        optimized(model(nodes, {"k": np.ones(3, np.float32)}, outputs=("y", "z")), tmp_path)


def test_constant_nodes_become_initialisers_and_constant_work_is_done_once(tmp_path):
    value = numpy_helper.from_array(np.float32(2))
    nodes = [
        node("Constant", [], ["two"], value=value),
        node("Sqrt", ["two"], ["root"]),
        node("Mul", ["x", "root"], ["y"], name="mul"),
    ]
    proto = optimized(model(nodes), tmp_path)
    assert op_types(proto) == ["Mul"]
    (tensor,) = proto.graph.initializer
    assert numpy_helper.to_array(tensor) == np.sqrt(np.float32(2))


def test_large_weights_are_folded_too(tmp_path):
    nodes = [
        node("Transpose", ["w"], ["wt"], perm=[3, 2, 0, 1]),
        node("Conv", ["x", "wt"], ["y"]),
    ]
    before = model(nodes, {"w": normal(3, 3, 3, 600)})
    proto = optimized(before, tmp_path)
    assert op_types(proto) == ["Conv"]
    assert_same_results(before, proto)


def test_initialisers_that_are_inputs_too_are_weights(tmp_path):
    proto = model([node("Conv", ["x", "w"], ["y"])], {"w": normal(4, 3, 3, 3)})
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [4, 3, 3, 3]))
    assert [value.name for value in optimized(proto, tmp_path).graph.input] == ["x"]


def test_functions_of_the_model_are_opened(tmp_path):
    proto = model([node("Twice", ["x"], ["y"], name="f", domain="local")])
    body = [node("Relu", ["a"], ["b"]), node("Sigmoid", ["b"], ["c"])]
    opsets = [onnx.helper.make_opsetid("", 18)]
    proto.functions.append(onnx.helper.make_function("local", "Twice", ["a"], ["c"], body, opsets))
    proto.opset_import.append(onnx.helper.make_opsetid("local", 1))
    after = optimized(proto, tmp_path)
    assert op_types(after) == ["Relu", "Sigmoid"]
    assert [entry.domain for entry in after.opset_import] == [""]


def test_an_old_opset_becomes_today_s(tmp_path):
    nodes = [
        node("Clip", ["x"], ["a"], name="clip", min=0.0, max=6.0),
        node("Pad", ["a"], ["y"], name="pad", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
    ]
    before = model(nodes, opset=10)
    after = optimized(before, tmp_path)
    assert after.opset_import[0].version == OPSET
    assert [(item.op_type, item.name, len(item.input)) for item in after.graph.node] == [
        ("Clip", "clip", 3),
        ("Pad", "pad", 3),
    ]
    assert_same_results(before, after, tolerance=0.0)


def test_fusions_follow_one_another_and_keep_the_first_name(tmp_path):
    nodes = [
        node("Pad", ["x", "p"], ["a"], name="pad"),
        node("Conv", ["a", "w"], ["b"], name="conv", auto_pad="VALID"),
        node("BatchNormalization", ["b", "g", "g", "g", "v"], ["c"], name="bn"),
        node("Mul", ["c", "k"], ["d"], name="scale"),
        node("Relu", ["d"], ["y"], name="act"),
    ]
    weights = {"p": np.array([0, 0, 0, 0, 0, 0, 1, 1]), "w": normal(4, 3, 3, 3), "g": normal(4)}
    before = model(nodes, weights | {"v": np.ones(4, np.float32), "k": normal(4, 1, 1)})
    after = optimized(before, tmp_path)
    assert [(item.op_type, item.name) for item in after.graph.node] == [("Conv", "conv"), ("Relu", "act")]
    (stored,) = after.graph.node[0].metadata_props
    assert (stored.key, json.loads(stored.value)) == (ORIGINS, ["conv", "pad", "bn", "scale"])
    assert_same_results(before, after)


def test_a_batch_norm_that_cannot_be_fused_is_a_warning_with_the_reason(tmp_path):
    weights = {name: np.ones(3, np.float32) for name in "gbmv"}
    nodes = [
        node("BatchNormalization", ["x", *"gbmv"], ["a"], name="first"),
        node("Relu", ["a"], ["c"]),
        node("BatchNormalization", ["c", *"gbmv"], ["y"], name="second"),
    ]
    with pytest.warns(AxWarning) as caught:
        optimized(model(nodes, weights), tmp_path)
    (warning,) = caught
    assert str(warning.message) == (
        "warning AX308: BatchNormalization 'first' and 1 others stay operators of their own: "
        "input of BatchNormalization is not a Conv or Gemm"
    )


def test_nothing_of_the_exporters_machine_is_left(tmp_path):
    proto = model([node("Relu", ["x"], ["y"], doc_string="File /home/somebody/train.py")])
    proto.doc_string = "made by somebody"
    proto.producer_version = "2.1"
    proto.graph.node[0].metadata_props.add(key="pkg.torch.stack_trace", value="/home/somebody")
    after = optimized(proto, tmp_path)
    assert b"somebody" not in after.SerializeToString()
    assert (after.producer_name, after.producer_version) == ("axbuild", "")


def test_two_runs_give_the_same_bytes(tmp_path):
    names = [str(LIGHT / "light_squeezenet.onnx")] * 2
    for index, name in enumerate(names):
        optimized(onnx.load(name), tmp_path / str(index))
    for file in ("optimized/optimized.onnx", "interface.json"):
        assert (tmp_path / "0/out" / file).read_bytes() == (tmp_path / "1/out" / file).read_bytes()


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1"])
def test_light_models_compute_the_same_after_the_front_end(tmp_path, name):
    before = with_random_weights(onnx.load(LIGHT / f"light_{name}.onnx"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = optimized(before, tmp_path)
    assert not {"BatchNormalization", "Sum", "Dropout", "Unsqueeze", "ConstantOfShape"} & set(op_types(after))
    assert_same_results(before, after, tolerance=1e-3)
