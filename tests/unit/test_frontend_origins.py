"""Where every node and tensor of the optimised graph comes from, and names of ours beside names of theirs."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from axbuild.toolchain.graph import KEPT, ORIGINS, Names
from frontend_world import assert_same_results, model, node, normal, op_types, optimized


def origins(item):
    return next((json.loads(entry.value) for entry in item.metadata_props if entry.key == ORIGINS), None)


def tensors(proto):
    graph = proto.graph
    return {
        value.name: origins(value) for value in (*graph.input, *graph.value_info, *graph.output, *graph.initializer)
    }


def test_a_tensor_remembers_the_names_it_had(tmp_path):
    nodes = [
        node("Identity", ["x"], ["a"]),
        node("Relu", ["a"], ["b"], name="act"),
        node("Identity", ["b"], ["c"]),
        node("Sigmoid", ["c"], ["d"]),
        node("Identity", ["d"], ["y"]),
    ]
    proto = optimized(model(nodes), tmp_path)
    assert tensors(proto) == {"x": ["x", "a"], "b": ["b", "c"], "y": ["d", "y"]}


def test_a_weight_remembers_the_names_it_had(tmp_path):
    nodes = [node("Identity", ["w"], ["v"]), node("Conv", ["x", "v"], ["y"])]
    assert tensors(optimized(model(nodes, {"w": normal(16, 3, 3, 3)}), tmp_path))["w"] == ["w", "v"]


def test_fused_tensors_keep_the_name_of_the_last(tmp_path):
    weights = {name: normal(4) ** 2 for name in "gbmv"}
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("BatchNormalization", ["c", *"gbmv"], ["n"], name="bn"),
        node("Relu", ["n"], ["y"], name="act"),
    ]
    proto = optimized(model(nodes, weights | {"w": normal(4, 3, 3, 3)}), tmp_path)
    assert [(item.name, item.output[0], origins(item)) for item in proto.graph.node] == [
        ("conv", "n", ["conv", "bn"]),
        ("act", "y", None),
    ]


def test_nodes_that_a_change_of_opset_adds_name_the_user_s_node(tmp_path):
    # Until opset 12, Softmax was over a matrix; what it is now takes reshapes around it.
    before = model([node("Softmax", ["x"], ["y"], name="soft", axis=1)], inputs=(("x", [2, 3, 4]),), opset=11)
    after = optimized(before, tmp_path)
    assert len(after.graph.node) > 1
    assert {item.name if origins(item) is None else origins(item)[0] for item in after.graph.node} == {"soft"}
    assert_same_results(before, after, tolerance=1e-6)


def test_nodes_of_a_function_name_the_call(tmp_path):
    proto = model([node("Twice", ["x"], ["t"], name="f", domain="local"), node("Relu", ["t"], ["y"], name="last")])
    body = [node("Sigmoid", ["a"], ["b"], name="inner"), node("Tanh", ["b"], ["c"])]
    opsets = [onnx.helper.make_opsetid("", 18)]
    proto.functions.append(onnx.helper.make_function("local", "Twice", ["a"], ["c"], body, opsets))
    proto.opset_import.append(onnx.helper.make_opsetid("local", 1))
    after = optimized(proto, tmp_path)
    assert op_types(after) == ["Sigmoid", "Tanh", "Relu"]
    assert [origins(item) for item in after.graph.node] == [["f"], ["f"], None]
    assert after.graph.node[1].output[0] == "t"


def test_our_names_give_way_to_the_user_s(tmp_path):
    ours = ["conv.weight", "conv.bias", "conv.out", "mean.shape", "mean.out", "sum.1", "sum.1.out", "y.before"]
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Mul", ["c", "k"], ["m"], name="mul"),
        *(node("Relu", ["m"], [name], name=name) for name in ours),
        node("Sum", ours, ["s"], name="sum"),
        node("ReduceMean", ["s", "axes"], ["y"], name="mean", keepdims=0),
    ]
    before = model(nodes, {"w": normal(4, 3, 3, 3), "k": normal(4, 1, 1), "axes": np.array([2, 3])})
    after = optimized(before, tmp_path)
    made = [name for item in after.graph.node for name in item.output]
    constants = [tensor.name for tensor in after.graph.initializer]
    assert len({*made, *constants, "x"}) == len(made) + len(constants) + 1
    assert set(ours) <= set(made)
    assert len({item.name for item in after.graph.node}) == len(after.graph.node)
    assert_same_results(before, after)


def test_a_name_is_never_given_twice():
    names = Names(["a", None, "a_1"])
    assert [names.free(like) for like in ("a", "a", "b", "b", "a_1")] == ["a_2", "a_3", "b", "b_1", "a_1_1"]


@pytest.mark.parametrize("form", ["value", "value_float", "value_floats", "value_int", "value_ints"])
def test_constant_nodes_of_every_form_become_initialisers(tmp_path, form):
    value = {
        "value": numpy_helper.from_array(np.float32([2])),
        "value_float": 2.0,
        "value_floats": [2.0],
        "value_int": 2,
        "value_ints": [2],
    }[form]
    nodes = [
        node("Constant", [], ["two"], **{form: value}),
        node("Cast", ["two"], ["f"], to=onnx.TensorProto.FLOAT),
        node("Add", ["x", "f"], ["y"], name="add"),
    ]
    before = model(nodes)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Add"]
    assert_same_results(before, after, tolerance=0.0)


def test_what_only_a_kept_tensor_was_there_for_goes_with_it(tmp_path):
    """A QDQ model gives tensors grids: they are held while rewrites run, which find a Swish in front of a Reshape, and
    are read by nobody then."""
    nodes = [
        node("Reshape", ["x", "rows"], ["flat"], name="flat"),
        node("Gemm", ["flat", "w"], ["a"], name="first"),
        node("Reshape", ["a", "tokens"], ["r"], name="apart"),
        node("Sigmoid", ["r"], ["s"], name="gate"),
        node("Mul", ["r", "s"], ["m"], name="swish"),
        node("Reshape", ["m", "rows_again"], ["again"], name="again"),
        node("Gemm", ["again", "v"], ["y"], name="second"),
    ]
    weights = {
        **{"rows": np.array([4, 8]), "tokens": np.array([1, 4, 6]), "rows_again": np.array([4, 6])},
        **{"w": normal(8, 6), "v": normal(6, 5)},
    }
    plain, proto = (model(nodes, weights, inputs=(("x", [1, 4, 8]),)) for _ in range(2))
    onnx.helper.set_model_props(proto, {KEPT: json.dumps(["r", "s", "m"])})
    after = optimized(proto, tmp_path)
    read = {name for item in after.graph.node for name in item.input} | {"y"}
    assert [item.name for item in after.graph.node if not read.intersection(item.output)] == []
    assert_same_results(plain, after)
