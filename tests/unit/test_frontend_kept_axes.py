"""Axes that are reduced away and brought back are kept, so that what jax and Keras write is found as well."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.fuse_norm import FuseNorm
from axbuild.toolchain.rewrites.keep_axes import KeepAxes, ReshapeBack, ReshapeLast
from axbuild.toolchain.rewrites.reciprocal_to_div import ReciprocalToDiv
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

SHAPE = [2, 6, 16]
CONSTANTS = {
    "axis": np.array([1]),
    "share": np.array(1 / 6, np.float32),
    "eps": np.array(1e-6, np.float32),
    "none": np.array(0, np.float32),
    "endless": np.array(-np.inf, np.float32),
    "back": np.array([2, 1, 16]),
    "row": normal(2, 16),
    "gain": normal(6, 1),
    "bias": np.abs(normal(6, 1)) + np.float32(0.1),
}


def mean(of, to):
    """As flax has it: the sum without its axis, times a number."""
    return [
        node("ReduceSum", [of, "axis"], [f"{to}_sum"], keepdims=0),
        node("Mul", [f"{to}_sum", "share"], [to]),
    ]


FLAX = [
    *mean("x", "mean"),
    node("Mul", ["x", "x"], ["squares"]),
    *mean("squares", "square"),
    node("Mul", ["mean", "mean"], ["centre"]),
    node("Sub", ["square", "centre"], ["spread"]),
    node("Clip", ["spread", "none"], ["floor"]),
    node("Reshape", ["floor", "back"], ["variance"]),
    node("Add", ["variance", "eps"], ["some"]),
    node("Sqrt", ["some"], ["root"]),
    node("Reciprocal", ["root"], ["inverse"]),
    node("Mul", ["inverse", "gain"], ["scale"]),
    node("Reshape", ["mean", "back"], ["middle"]),
    node("Sub", ["x", "middle"], ["centred"]),
    node("Mul", ["centred", "scale"], ["scaled"]),
    node("Add", ["scaled", "bias"], ["y"]),
]
JAX_SOFTMAX = [
    node("ReduceMax", ["x", "axis"], ["largest"], keepdims=0),
    node("Clip", ["largest", "endless"], ["same"]),
    node("Unsqueeze", ["same", "axis"], ["top"]),
    node("Sub", ["x", "top"], ["below"]),
    node("Exp", ["below"], ["powers"]),
    node("ReduceSum", ["powers", "axis"], ["sum"], keepdims=0),
    node("Reshape", ["sum", "back"], ["total"]),
    node("Div", ["powers", "total"], ["y"]),
]


def spelled(nodes):
    used = {name for item in nodes for name in item.input}
    constants = {name: array for name, array in CONSTANTS.items() if name in used}
    return model(nodes, constants, inputs=[("x", SHAPE)], opset=24)


def with_axes_kept(proto):
    for rewrite in (KeepAxes(), ReshapeLast(), ReshapeBack()):
        proto, _ = rewritten(rewrite, proto)
    return proto


@pytest.mark.parametrize(
    ("nodes", "wanted"),
    [(FLAX, ["Transpose", "LayerNormalization", "Transpose"]), (JAX_SOFTMAX, ["Softmax"])],
    ids=["LayerNorm of flax", "Softmax of jax"],
)
def test_what_jax_writes_is_one_operator(nodes, wanted):
    before = spelled(nodes)
    kept = with_axes_kept(before)
    assert not {"Reshape", "Unsqueeze"} & set(op_types(kept))
    after, _ = rewritten(FuseNorm(), kept)
    assert op_types(after) == wanted
    assert_same_results(before, after, 1e-5)


@pytest.mark.parametrize(
    ("tail", "wanted"),
    [
        ([node("Relu", ["sum"], ["y"])], ["ReduceSum", "Relu"]),
        (
            [node("Add", ["sum", "row"], ["moved"]), node("Reshape", ["moved", "back"], ["y"])],
            ["ReduceSum", "Reshape", "Add", "Reshape"],
        ),
    ],
    ids=["axes that stay away", "a row between"],
)
def test_axes_come_back_only_where_nothing_else_is_in_the_way(tail, wanted):
    before = spelled([node("ReduceSum", ["x", "axis"], ["sum"], keepdims=0), *tail])
    after = with_axes_kept(before)
    assert op_types(after) == wanted
    assert_same_results(before, after)


def test_a_reciprocal_is_a_division():
    before = model([node("Abs", ["x"], ["size"]), node("Reciprocal", ["size"], ["y"])])
    after, _ = rewritten(ReciprocalToDiv(), before)
    assert op_types(after) == ["Abs", "Div"]
    assert_same_results(before, after, 1e-5)
