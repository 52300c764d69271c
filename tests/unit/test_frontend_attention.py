"""Attention, in the operator's own form and as exporters spell it, comes out as two products around a softmax."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto

from axbuild.toolchain.graph import PATTERN
from axbuild.toolchain.ops.fused import fused_nodes, without_integer_form
from frontend_world import assert_same_results, model, node, normal, optimized

QKV = [(name, [1, 4, 8, 16]) for name in "qkv"]
ROOT = np.array(0.5, np.float32)
"""of the scale 1/4"""


def came_out(proto, folder):
    """(operators as the quantiser fuses them, those of them that are marked as attention)."""
    after = optimized(proto, folder)
    assert_same_results(proto, after, 1e-4)
    fused = fused_nodes(ir.from_proto(after).graph)
    assert not [item.name for item in fused if without_integer_form(item.node)]
    marked = [item.node.op_type for item in fused if item.node.metadata_props.get(PATTERN) == "Attention"]
    return [item.node.op_type for item in fused], marked


SPELLED = {
    "torch": (
        [
            node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
            node("Mul", ["q", "root"], ["qs"]),
            node("Mul", ["t", "root"], ["ts"]),
            node("MatMul", ["qs", "ts"], ["s"]),
            node("Softmax", ["s"], ["p"], axis=-1),
            node("MatMul", ["p", "v"], ["y"]),
        ],
        {"root": ROOT},
    ),
    "scale before": (
        [
            node("Mul", ["q", "scale"], ["qs"]),
            node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
            node("MatMul", ["qs", "t"], ["s"]),
            node("Softmax", ["s"], ["p"], axis=-1),
            node("MatMul", ["p", "v"], ["y"]),
        ],
        {"scale": ROOT * ROOT},
    ),
    "scale before the transposition": (
        [
            node("Div", ["k", "divisor"], ["ks"]),
            node("Transpose", ["ks"], ["t"], perm=[0, 1, 3, 2]),
            node("MatMul", ["q", "t"], ["s"]),
            node("Softmax", ["s"], ["p"], axis=-1),
            node("MatMul", ["p", "v"], ["y"]),
        ],
        {"divisor": np.array([4.0], np.float32)},
    ),
    "scale after": (
        [
            node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
            node("MatMul", ["q", "t"], ["s"]),
            node("Div", ["s", "divisor"], ["ss"]),
            node("Softmax", ["ss"], ["p"], axis=-1),
            node("MatMul", ["p", "v"], ["y"]),
        ],
        {"divisor": np.array(4.0, np.float32)},
    ),
    "softmax of Keras": (
        [
            node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
            node("MatMul", ["q", "t"], ["s"]),
            node("Mul", ["s", "scale"], ["ss"]),
            node("ReduceMax", ["ss", "last"], ["m"]),
            node("Sub", ["ss", "m"], ["d"]),
            node("Exp", ["d"], ["e"]),
            node("ReduceSum", ["e", "last"], ["sum"]),
            node("Div", ["e", "sum"], ["p"]),
            node("MatMul", ["p", "v"], ["y"]),
        ],
        {"scale": ROOT * ROOT, "last": np.array([-1])},
    ),
}


@pytest.mark.parametrize("name", SPELLED)
def test_the_scale_costs_no_operator(name, tmp_path):
    nodes, weights = SPELLED[name]
    operators, marked = came_out(model(nodes, weights, inputs=QKV), tmp_path)
    assert operators == ["Transpose", "MatMul", "Softmax", "MatMul"]
    assert marked == ["MatMul", "Softmax", "MatMul"]


def test_a_bias_of_positions_stands_between_and_is_marked(tmp_path):
    nodes, weights = SPELLED["scale before"]
    nodes = [*nodes[:3], node("Add", ["s", "bias"], ["b"]), node("Softmax", ["b"], ["p"], axis=-1), nodes[-1]]
    operators, marked = came_out(model(nodes, weights | {"bias": normal(1, 4, 8, 8)}, inputs=QKV), tmp_path)
    assert operators == ["Transpose", "MatMul", "Add", "Softmax", "MatMul"]
    assert marked == operators[1:]


def test_a_softmax_of_something_else_is_not_attention(tmp_path):
    nodes = [node("Softmax", ["q"], ["p"], axis=-1), node("MatMul", ["p", "w"], ["y"])]
    operators, marked = came_out(model(nodes, {"w": normal(16, 16)}, inputs=QKV[:1]), tmp_path)
    assert (operators, marked) == (["Softmax", "MatMul"], [])


QKV_OF_TOKENS = {
    "Split": [
        node("Split", ["five"], ["q5", "k5", "v5"], axis=0, num_outputs=3),
        *(node("Squeeze", [f"{name}5", "zero"], [name]) for name in "qkv"),
    ],
    "Gather": [node("Gather", ["five", f"index_{name}"], [name], axis=0) for name in "qkv"],
}


@pytest.mark.parametrize("how", QKV_OF_TOKENS)
def test_queries_keys_and_values_of_one_layer_are_told_apart_by_movers(how, tmp_path):
    nodes = [
        node("MatMul", ["x", "w"], ["fused"]),
        node("Reshape", ["fused", "apart"], ["tokens"]),
        node("Transpose", ["tokens"], ["five"], perm=[2, 0, 3, 1, 4]),
        *QKV_OF_TOKENS[how],
        *SPELLED["torch"][0],
    ]
    indices = {f"index_{name}": np.array(at) for at, name in enumerate("qkv")}
    weights = {"w": normal(64, 192), "apart": np.array([1, 8, 3, 4, 16]), "zero": np.array([0]), "root": ROOT}
    read = {name for item in nodes for name in item.input}
    kept = {name: array for name, array in (weights | indices).items() if name in read}
    operators, marked = came_out(model(nodes, kept, inputs=[("x", [1, 8, 64])]), tmp_path)
    assert set(operators) <= {"MatMul", "Reshape", "Transpose", "Split", "Slice", "Softmax"}
    assert operators.count("MatMul") == 3
    assert marked == ["MatMul", "Softmax", "MatMul"]


MASKED = {
    "added": (
        [node("Add", ["s", "mask"], ["b"]), node("Softmax", ["b"], ["p"], axis=-1)],
        {"mask": np.triu(np.full((8, 8), -1e9, np.float32), 1)},
    ),
    "where": (
        [node("Where", ["hidden", "lowest", "s"], ["b"]), node("Softmax", ["b"], ["p"], axis=-1)],
        {"hidden": np.triu(np.ones((8, 8), bool), 1), "lowest": np.array(-np.inf, np.float32)},
    ),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_is_part_of_the_softmax(name, tmp_path):
    nodes, weights = SPELLED["scale before"]
    mask, constants = MASKED[name]
    before = model([*nodes[:3], *mask, nodes[-1]], weights | constants, inputs=QKV)
    operators, marked = came_out(before, tmp_path)
    assert operators == ["Transpose", "MatMul", "Softmax", "MatMul"]
    assert marked == ["MatMul", "Softmax", "MatMul"]


THREE = [("q", [1, 8, 64]), ("k", [1, 8, 64]), ("v", [1, 8, 64])]
SHARED = [("q", [1, 8, 64]), ("k", [1, 8, 32]), ("v", [1, 8, 32])]


@pytest.mark.parametrize(
    ("inputs", "attributes"),
    [
        (QKV, {}),
        (QKV, {"scale": 0.4, "is_causal": 1}),
        (THREE, {"q_num_heads": 4, "kv_num_heads": 4}),
        (SHARED, {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1}),
        ([*QKV, ("m", [8, 8])], {}),
    ],
    ids=["four axes", "causal", "three axes", "shared heads", "masked"],
)
@pytest.mark.parametrize("opset", [23, 24])
def test_the_operator_is_opened(inputs, attributes, opset, tmp_path):
    given = [node("Attention", [name for name, _ in inputs], ["y"], name="a", **attributes)]
    operators, marked = came_out(model(given, inputs=inputs, opset=opset), tmp_path)
    assert "Attention" not in operators
    assert [op for op in marked if op not in ("Add", "Where")] == ["MatMul", "Softmax", "MatMul"]


def test_attention_with_a_cache_stays_with_the_reason(tmp_path):
    past = [("pk", [1, 4, 3, 16]), ("pv", [1, 4, 3, 16])]
    given = [node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "nk", "nv"], name="a")]
    after = optimized(model(given, inputs=[*QKV, *past], outputs=("y", "nk", "nv"), opset=23), tmp_path)
    assert [item.op_type for item in after.graph.node] == ["Attention"]


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_of_which_a_token_sees_nothing_stays(causal, tmp_path):
    shown = np.ones((8, 8), bool)
    shown[3, : 4 if causal else 8] = False
    given = [node("Attention", ["q", "k", "v", "m"], ["y"], name="a", is_causal=causal)]
    before = model(given, {"m": shown}, inputs=QKV, opset=23)
    after = optimized(before, tmp_path)
    assert [item.op_type for item in after.graph.node] == ["Attention"]
    assert_same_results(before, after)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("computed", [False, True], ids=["given", "computed"])
def test_a_mask_is_tried_on_inputs_by_which_every_token_sees_something(computed, causal, tmp_path):
    """Of 12 keys random truth values hide all from one of the tokens in most draws of a causal mask."""
    nodes = [node("Attention", ["q", "k", "v", "m"], ["y"], name="a", is_causal=causal)]
    mask = ("m", [12, 12])
    if computed:
        nodes.insert(0, node("Greater", ["f", "zero"], ["m"], name="shown"))
        mask = ("f", [12, 12])
    qkv = [(name, [1, 2, 12, 8]) for name in "qkv"]
    before = model(nodes, {"zero": np.float32(0)} if computed else {}, inputs=[*qkv, mask], opset=23)
    if not computed:
        before.graph.input[3].type.tensor_type.elem_type = TensorProto.BOOL
    after = optimized(before, tmp_path)
    assert "Softmax" in [item.op_type for item in after.graph.node]
