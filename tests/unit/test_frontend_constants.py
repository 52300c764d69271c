"""Constants beside computed tensors, and one after the other."""

from __future__ import annotations

import pytest

from axbuild.toolchain.rewrites.concat_constant import ConcatConstant
from axbuild.toolchain.rewrites.fuse_constants import FuseConstants
from frontend_world import assert_same_results, describe, model, node, normal, origins, rewritten


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
