"""Constants beside computed tensors, and one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.concat_constant import ConcatConstant
from axbuild.toolchain.rewrites.fuse_constants import FuseConstants
from frontend_world import assert_same_results, describe, model, node, normal, op_types, optimized, origins, rewritten


@pytest.mark.parametrize(
    ("operands", "kept"),
    [
        (["token", "x"], ["Pad", "Add"]),
        (["x", "token"], ["Pad", "Add"]),
        (["token", "x", "token", "wide", "x", "token"], ["Pad", "Pad", "Concat", "Add"]),
        (["x", "token", "x"], ["Pad", "Concat", "Add"]),
    ],
)
def test_constants_beside_computed_tensors_are_added(operands, kept):
    weights = {"token": normal(1, 1, 4, 2), "wide": normal(1, 2, 4, 2)}
    before = model([node("Concat", operands, ["y"], name="join", axis=-3)], weights, inputs=(("x", [1, 3, 4, 2]),))
    after, _ = rewritten(ConcatConstant(), before)
    assert [item.op_type for item in after.graph.node] == kept
    assert_same_results(before, after)


def test_a_concat_of_computed_tensors_or_of_constants_alone_stays():
    for operands in (["x", "x"], ["token", "token"]):
        nodes = [node("Concat", operands, ["y"], name="join", axis=1)]
        _, reasons = rewritten(ConcatConstant(), model(nodes, {"token": normal(1, 1, 8, 8)}))
        assert reasons == {"join": "Concat does not join constants with computed tensors"}


@pytest.mark.parametrize("op", ["Add", "Mul"])
def test_two_constants_become_one(op):
    nodes = [node(op, ["x", "c"], ["h"], name="first"), node(op, ["d", "h"], ["y"], name="second")]
    before = model(nodes, {"c": normal(3, 1, 1), "d": normal(1, 8)})
    after, _ = rewritten(FuseConstants(), before)
    assert describe(after) == [(op, "first")]
    assert origins(after.graph.node[0]) == [["first", "second"]]
    assert_same_results(before, after)


def test_constants_stay_apart_where_another_node_reads_between_them():
    nodes = [node("Add", ["x", "c"], ["h"], name="first"), node("Add", ["h", "c"], ["y"], name="second")]
    _, reasons = rewritten(FuseConstants(), model(nodes, {"c": normal(3, 1, 1)}, outputs=("y", "h")))
    assert reasons["second"] == "the Add before has no constant, or another reader"


@pytest.mark.parametrize(
    ("op_type", "operands", "number"),
    [("Add", "xc", 0), ("Add", "cx", 0), ("Sub", "xc", 0), ("Mul", "cx", 1), ("Mul", "xc", 1), ("Div", "xc", 1)],
)
def test_arithmetic_with_what_changes_nothing_goes(op_type, operands, number, tmp_path):
    nodes = [node(op_type, list(operands), ["a"], name="nothing"), node("Relu", ["a"], ["y"], name="act")]
    after = optimized(model(nodes, {"c": np.full((3, 1, 1), number, np.float32)}), tmp_path)
    assert op_types(after) == ["Relu"]


@pytest.mark.parametrize(
    ("op_type", "operands", "constant"),
    [
        ("Sub", "cx", np.zeros((3, 1, 1))),
        ("Div", "cx", np.ones((3, 1, 1))),
        ("Add", "xc", np.arange(3.0).reshape(3, 1, 1)),
        ("Mul", "xc", np.ones((2, 3, 8, 8))),
    ],
    ids=["negated", "inverted", "one of them not", "repeated"],
)
def test_arithmetic_that_changes_something_stays(op_type, operands, constant, tmp_path):
    nodes = [node(op_type, list(operands), ["a"], name="it"), node("Sigmoid", ["a"], ["y"], name="act")]
    before = model(nodes, {"c": constant.astype(np.float32)})
    after = optimized(before, tmp_path)
    assert len(after.graph.node) > 1
    assert_same_results(before, after, 1e-6)
