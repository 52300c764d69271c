"""The front end as a whole: names, folding, old opsets, the light models of the onnx wheel, and bytes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxWarning
from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend import optimize as front_end
from axbuild.toolchain.frontend.check import TransformationError
from axbuild.toolchain.frontend.fold import fold
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.optimize import OptimizeParams
from axbuild.toolchain.frontend.shapes import ShapeInferenceError
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.frontend.wiring import InvalidModelError
from axbuild.toolchain.graph import IR_VERSION, OPSET, ORIGINS
from frontend_world import (
    LIGHT,
    DoubleRelu,
    assert_same_results,
    model,
    node,
    normal,
    op_types,
    optimized,
    with_random_weights,
)


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


NOTHING = {
    "pad": node("Pad", ["x", "zeros"], ["a"]),
    "slice": node("Slice", ["x", "starts", "ends"], ["a"]),
    "strided": node("Slice", ["x", "starts", "ends", "axes", "ones"], ["a"]),
    "reshape": node("Reshape", ["x", "shape"], ["a"]),
    "transpose": node("Transpose", ["x"], ["a"], perm=[0, 1, 2, 3]),
    "expand": node("Expand", ["x", "ones"], ["a"]),
    "tile": node("Tile", ["x", "ones"], ["a"]),
    "split": node("Split", ["x", "whole"], ["a", "b"], axis=1),
}
"""nodes that hand x on as it is"""

CONSTANTS = {
    "zeros": np.zeros(8, np.int64),
    "starts": np.zeros(4, np.int64),
    "ends": np.array([9, 9, 9, 9]),
    "axes": np.arange(4),
    "ones": np.ones(4, np.int64),
    "shape": np.array([1, -1, 8, 8]),
    "whole": np.array([3, 0]),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_hands_its_input_on_goes(tmp_path, name):
    proto = optimized(model([NOTHING[name], node("Tanh", ["a"], ["y"])], CONSTANTS), tmp_path)
    assert [(item.op_type, *item.input) for item in proto.graph.node] == [("Tanh", "x")]


BACKWARDS = {"starts": np.array([-1]), "ends": np.array([-99]), "axes": np.array([3]), "ones": np.array([-1])}


@pytest.mark.parametrize(
    ("given", "constants"),
    [
        (NOTHING["strided"], BACKWARDS),
        (NOTHING["pad"], {"zeros": np.array([0, 0, 1, 0, 0, 0, -1, 0])}),
        (node("Transpose", ["x"], ["a"], perm=[0, 1, 3, 2]), {}),
    ],
    ids=["backwards", "shifted", "turned"],
)
def test_what_only_keeps_the_shape_stays(tmp_path, given, constants):
    before = model([given, node("Tanh", ["a"], ["y"])], CONSTANTS | constants)
    after = optimized(before, tmp_path)
    assert op_types(after)[-1] == "Tanh"
    assert len(after.graph.node) > 1
    assert_same_results(before, after, tolerance=0.0)


def test_parts_of_a_constant_are_constants(tmp_path):
    nodes = [
        node("Split", ["k"], ["a", "b"], axis=-1, num_outputs=2),
        node("Max", ["x", "a"], ["m"]),
        node("Min", ["m", "b"], ["y"]),
    ]
    before = model(nodes, {"k": normal(8, 16)})
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Max", "Min"]
    assert_same_results(before, after, tolerance=0.0)


def test_two_outputs_of_one_value_keep_their_names(tmp_path):
    nodes = [node("Relu", ["x"], ["r"]), node("Identity", ["r"], ["y"]), node("Identity", ["r"], ["z"])]
    before = model(nodes, outputs=("y", "z"))
    after = optimized(before, tmp_path)
    assert [value.name for value in after.graph.output] == ["y", "z"]
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize("source", ["x", "w"], ids=["an input", "an output"])
def test_a_rewrite_that_comes_to_a_tensor_of_others_leaves_its_name(tmp_path, source):
    nodes = [node("Relu", ["x"], ["w"]), node("Pad", [source, "none"], ["y"], name="pad", mode="edge")]
    proto = model(nodes, {"none": np.zeros(8, np.int64)}, outputs=("w", "y"))
    after = optimized(proto, tmp_path)
    read = [(item.op_type, *item.input, *item.output) for item in after.graph.node]
    assert read == [("Relu", "x", "w"), ("Identity", source, "y")]
    assert_same_results(proto, after)


def test_an_output_that_is_an_input_is_named(tmp_path):
    with pytest.raises(ShapeInferenceError, match="output 'x' is an input handed through"):
        optimized(model([node("Relu", ["x"], ["y"])], outputs=("y", "x")), tmp_path)


def test_an_output_that_no_input_reaches_is_named(tmp_path):
    nodes = [node("Relu", ["x"], ["y"]), node("Sqrt", ["k"], ["z"])]
    with pytest.raises(ShapeInferenceError, match="output 'z' does not depend on any input"):
        optimized(model(nodes, {"k": np.ones(3, np.float32)}, outputs=("y", "z")), tmp_path)


@pytest.mark.parametrize(("pads", "kept"), [([0, 0, 0, 0], ["Conv"]), ([1, 1, 1, 1], ["Conv", "Conv"])])
def test_the_normalisation_of_pictures_goes_into_the_first_convolution_or_is_one_before_it(tmp_path, pads, kept):
    nodes = [
        node("Div", ["x", "most"], ["part"], name="div"),
        node("Sub", ["part", "mean"], ["centred"], name="sub"),
        node("Div", ["centred", "std"], ["n"], name="normal"),
        node("Conv", ["n", "w"], ["y"], name="conv", pads=pads),
    ]
    constants = {
        "most": np.float32(255),
        "mean": np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1),
        "std": np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1),
        "w": normal(4, 3, 3, 3),
    }
    before = model(nodes, constants)
    after = optimized(before, tmp_path)
    assert op_types(after) == kept
    assert_same_results(before, after)


def test_constant_nodes_become_initialisers_and_constant_work_is_done_once(tmp_path):
    value = numpy_helper.from_array(np.float32(2))
    nodes = [
        node("Constant", [], ["two"], value=value),
        node("Sqrt", ["two"], ["root"]),
        node("Add", ["x", "root"], ["y"], name="add"),
    ]
    proto = optimized(model(nodes), tmp_path)
    assert op_types(proto) == ["Add"]
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


def steps():
    nodes = [
        node("Pad", ["x", "p"], ["a"], name="pad"),
        node("Conv", ["a", "w"], ["b"], name="conv", auto_pad="VALID"),
        node("BatchNormalization", ["b", "g", "g", "g", "v"], ["c"], name="bn"),
        node("Mul", ["c", "k"], ["d"], name="scale"),
        node("Unsqueeze", ["d", "axes"], ["y"], name="last"),
    ]
    weights = {"p": np.array([0, 0, 0, 0, 0, 0, 1, 1]), "w": normal(4, 3, 3, 3), "g": normal(4), "axes": np.array([2])}
    return model(nodes, weights | {"v": np.ones(4, np.float32), "k": normal(4, 1, 1)})


def test_without_optimisation_only_what_the_quantiser_needs_is_rewritten(tmp_path):
    after = optimized(steps(), tmp_path, params=OptimizeParams(disable_onnx_optimization=True))
    assert [(item.op_type, item.name) for item in after.graph.node] == [
        ("Pad", "pad"),
        ("Conv", "conv"),
        ("Conv", "bn"),
        ("Conv", "scale"),
        ("Reshape", "last"),
    ]
    assert all(attribute.name != "auto_pad" for attribute in after.graph.node[1].attribute)
    assert_same_results(steps(), after)


def test_without_the_check_of_each_place_the_graph_is_the_same(tmp_path):
    params = OptimizeParams(disable_transformation_check=True)
    assert optimized(steps(), tmp_path / "a", params=params) == optimized(steps(), tmp_path / "b")


@pytest.mark.parametrize("unchecked", [False, True])
def test_a_wrong_rewrite_is_named_with_its_node_also_where_only_the_whole_is_compared(tmp_path, monkeypatch, unchecked):
    monkeypatch.setattr(front_end, "REWRITES", (DoubleRelu(),))
    nodes = [node("Sigmoid", ["x"], ["a"]), node("Relu", ["a"], ["b"], name="act"), node("Sigmoid", ["b"], ["y"])]
    params = OptimizeParams(disable_transformation_check=unchecked)
    with pytest.raises(TransformationError, match="DoubleRelu of node 'act' changed tensor 'b' by"):
        optimized(model(nodes), tmp_path, params=params)


def test_a_wrong_constant_is_named_with_the_first_tensor_that_it_reaches(tmp_path, monkeypatch):
    def wrong(graph):
        fold(graph)
        (tensor,) = graph.graph.initializers.values()
        tensor.const_value = ir.tensor(np.float32([3]), name=tensor.name)

    monkeypatch.setattr(front_end, "fold", wrong)
    nodes = [
        node("Sigmoid", ["x"], ["a"], name="first"),
        node("Add", ["a", "k"], ["b"], name="shift"),
        node("Sigmoid", ["b"], ["y"], name="last"),
    ]
    with pytest.raises(
        TransformationError,
        match=r"constant folding changed tensor 'b' by .*, output of node 'shift' \(Add\)",
    ) as caught:
        optimized(model(nodes, {"k": np.float32([2])}), tmp_path)
    assert exit_code_of(caught.value.code) == 3


def test_a_model_that_amplifies_rounding_is_no_defect(tmp_path):
    # Each step stretches the distance of two inputs threefold, so that after 12 the last bits are the first digits.
    nodes, last = [], "x"
    weights = {"k": np.float32([40]), "w": normal(4, 3, 3, 3), "g": normal(4) ** 2 + 1, "b": normal(4)}
    nodes.append(node("Conv", [last, "w"], ["c"], name="conv"))
    nodes.append(node("BatchNormalization", ["c", "g", "b", "b", "g"], ["n"], name="bn"))
    last = "n"
    for step in range(6):
        nodes += [node("Mul", [last, "k"], [f"m{step}"]), node("Sin", [f"m{step}"], [f"s{step}"])]
        last = f"s{step}"
    nodes.append(node("Identity", [last], ["y"]))
    before = model(nodes, weights)
    after = optimized(before, tmp_path)
    assert op_types(after)[:2] == ["Conv", "Sin"]
    inputs = check.random_inputs(LightModel(after))
    old, new = (check.run(LightModel(proto), inputs)["y"] for proto in (before, after))
    assert np.abs(old - new).max() > check.WHOLE


@pytest.mark.parametrize("opset", range(7, OPSET + 1))
def test_every_model_is_brought_to_one_opset(tmp_path, opset):
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("MaxPool", ["c"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", ["p"], ["r"], name="act"),
        node("Softmax", ["r"], ["s"], name="soft", axis=1 if opset < 13 else -1),
        node("Transpose", ["s"], ["t"], name="turn", perm=[0, 2, 3, 1]),
        node("Concat", ["t", "t"], ["y"], name="twice", axis=3),
    ]
    before = model(nodes, {"w": normal(4, 3, 3, 3)}, opset=opset)
    after = optimized(before, tmp_path)
    assert (after.opset_import[0].version, after.ir_version) == (OPSET, IR_VERSION)
    assert_same_results(before, after, tolerance=1e-6)


def test_a_constant_that_would_blow_up_stays_computed(tmp_path):
    nodes = [node("Expand", ["k", "shape"], ["e"], name="much"), node("Concat", ["x", "e"], ["y"], axis=1)]
    weights = {"k": np.float32([1]), "shape": np.array([1, 1, 2048, 2048])}
    after = optimized(model(nodes, weights, inputs=(("x", [1, 1, 2048, 2048]),)), tmp_path)
    assert op_types(after) == ["Expand", "Concat"]
    assert (tmp_path / "out/optimized/optimized.onnx").stat().st_size < 2000


def test_functions_that_double_are_counted_before_they_are_opened(tmp_path):
    proto = model([node("F22", ["x"], ["y"], domain="local")])
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("local", 1)]
    body = [node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["c"])]
    for level in range(23):
        proto.functions.append(onnx.helper.make_function("local", f"F{level}", ["a"], ["c"], body, opsets))
        body = [node(f"F{level}", [a], [b], domain="local") for a, b in (("a", "b"), ("b", "c"))]
    proto.opset_import.append(onnx.helper.make_opsetid("local", 1))
    with pytest.raises(UnsupportedModelError, match="functions open into more than 200000 nodes"):
        optimized(proto, tmp_path)


def test_a_function_that_calls_itself_is_not_valid(tmp_path):
    proto = model([node("Loopy", ["x"], ["y"], domain="local")])
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("local", 1)]
    body = [node("Loopy", ["a"], ["b"], domain="local")]
    proto.functions.append(onnx.helper.make_function("local", "Loopy", ["a"], ["b"], body, opsets))
    proto.opset_import.append(onnx.helper.make_opsetid("local", 1))
    with pytest.raises(InvalidModelError, match="must not be recursive"):
        optimized(proto, tmp_path)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(
    ("opset", "operator", "scale"),
    [(7, "Upsample", 2.0), (8, "Upsample", 1.5), (9, "Upsample", 3.0), (10, "Resize", 1.25), (10, "Resize", 0.4)],
)
def test_resizing_before_opset_11_keeps_its_rules(tmp_path, opset, operator, scale, mode):
    scales = [1.0, 1.0, scale, scale]
    if opset < 9:
        nodes, weights = [node(operator, ["x"], ["y"], name="up", mode=mode, scales=scales)], {}
    else:
        nodes, weights = [node(operator, ["x", "s"], ["y"], name="up", mode=mode)], {"s": np.float32(scales)}
    before = model(nodes, weights, opset=opset)
    after = optimized(before, tmp_path)
    assert op_types(after) == (["Resize"] if mode == "linear" or scale % 1 == 0 else ["Gather", "Gather"])
    assert_same_results(before, after, tolerance=1e-6)


def test_old_resizing_that_shrinks_and_stretches_asks_for_a_later_export(tmp_path):
    nodes = [node("Resize", ["x", "s"], ["y"], name="up", mode="nearest")]
    with pytest.raises(UnsupportedModelError, match=r"node 'up' \(Resize\) resizes by scales") as caught:
        optimized(model(nodes, {"s": np.float32([1, 1, 2, 0.5])}, opset=10), tmp_path)
    assert caught.value.hint == "export the model at opset 11 or later"


@pytest.mark.parametrize("opset", [15, 22])
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_the_last_window_of_ceil_mode_begins_inside_the_map(tmp_path, opset, operator):
    settled = {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}
    before = model([node(operator, ["x"], ["y"], **settled)], inputs=(("x", [1, 3, 2, 2]),), opset=opset)
    after = optimized(before, tmp_path)
    assert [item.dim_value for item in after.graph.output[0].type.tensor_type.shape.dim] == [1, 3, 1, 1]
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_dilated_windows_with_same_padding_get_the_pads_of_the_formula(tmp_path, mode):
    settled = {"auto_pad": mode, "dilations": [2, 3], "strides": [2, 1]}
    before = model([node("Conv", ["x", "w"], ["y"], name="conv", **settled)], {"w": normal(4, 3, 3, 2)})
    after = optimized(before, tmp_path)
    found = {item.name: list(item.ints) for item in after.graph.node[0].attribute}
    # height: 4 windows of 5 in steps of 2 over 8 take 11; width: 8 of 4 in steps of 1 take 11
    assert found["pads"] == ([1, 1, 2, 2] if mode == "SAME_UPPER" else [2, 2, 1, 1])
    explicit = model(
        [node("Conv", ["x", "w"], ["y"], pads=found["pads"], dilations=[2, 3], strides=[2, 1])],
        {"w": normal(4, 3, 3, 2)},
    )
    assert_same_results(explicit, after, tolerance=0.0)


def test_an_input_that_nothing_reads_is_left_out_with_a_warning(tmp_path):
    proto = model([node("Relu", ["x"], ["y"])], inputs=(("x", [1, 3]), ("left_over", [1, 5])))
    with pytest.warns(AxWarning, match="AX310: input 'left_over' is left out: no node reads it"):
        after = optimized(proto, tmp_path)
    assert [value.name for value in after.graph.input] == ["x"]
    interface = json.loads((tmp_path / "out/interface.json").read_text())
    assert [value["name"] for value in interface["inputs"]] == ["x"]


def test_a_rounding_rewrite_inside_what_an_exact_one_made_counts_for_both(tmp_path):
    """Layers over rows with a spelled GELU between, as onnxslim writes them: Reshape, Gemm, Reshape."""
    weights = {"w1": normal(48, 192), "b1": normal(48), "w2": normal(192, 48), "b2": normal(192)}
    shapes = {"rows": np.array([-1, 192]), "wide": np.array([1, 37, 48]), "narrow": np.array([-1, 48])}
    numbers = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    nodes = [
        node("Reshape", ["x", "rows"], ["r"], name="r"),
        node("Gemm", ["r", "w1", "b1"], ["g"], name="g", transB=1),
        node("Reshape", ["g", "wide"], ["t"], name="t"),
        node("Div", ["t", "root"], ["d"], name="d"),
        node("Erf", ["d"], ["e"], name="e"),
        node("Add", ["e", "one"], ["a"], name="a"),
        node("Mul", ["t", "a"], ["m"], name="m"),
        node("Mul", ["m", "half"], ["h"], name="h"),
        node("Reshape", ["h", "narrow"], ["n"], name="n"),
        node("Gemm", ["n", "w2", "b2"], ["y"], name="y", transB=1),
    ]
    before = model(nodes, weights | shapes | numbers, inputs=(("x", [1, 37, 192]),))
    after = optimized(before, tmp_path)
    assert op_types(after).count("Gelu") == 1
    assert_same_results(before, after, 1e-5)
