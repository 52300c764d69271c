"""Changes of shape that cancel each other go, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.frontend.reshape_first import ReshapeFirst
from frontend_world import assert_same_results, model, node, op_types, optimized, rewritten


def there_and_back(first, perm, last):
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("Reshape", ["r", "first"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=perm),
        node("Reshape", ["b", "last"], ["y"], name="n"),
    ]
    return model(nodes, {"first": np.array(first), "last": np.array(last)}, inputs=(("x", [2, 3, 5, 4]),))


@pytest.mark.parametrize(
    ("first", "perm", "last", "made"),
    [
        ([-1, 5, 4], [0, 2, 1], [2, 3, 4, 5], ["Relu", "Transpose"]),
        ([2, 15, 4], [0, 2, 1], [2, 1, 4, 15], ["Relu", "Reshape", "Transpose"]),
        ([6, 5, 4], [0, 1, 2], [2, 3, 20], ["Relu", "Reshape", "Transpose"]),
        ([2, 3, 1, 5, 4], [0, 1, 4, 3, 2], [6, 4, 5, 1], ["Relu", "Reshape", "Transpose"]),
    ],
    ids=str,
)
def test_a_reshape_behind_a_transpose_that_leaves_its_axes_alone_goes(first, perm, last, made):
    before = there_and_back(first, perm, last)
    after, _ = rewritten(ReshapeFirst(), before)
    assert op_types(after) == made
    assert_same_results(before, after, tolerance=0.0)


def test_a_reshape_that_changes_an_axis_that_moved_stays():
    _, reasons = rewritten(ReshapeFirst(), there_and_back([6, 5, 4], [0, 2, 1], [2, 3, 20]))
    assert reasons["n"] == "Reshape changes axes that Transpose moves"


def test_the_keys_of_an_attention_are_transposed_in_one_step(tmp_path):
    before = there_and_back([-1, 5, 4], [0, 2, 1], [2, 3, 4, 5])
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Relu", "Transpose"]
    assert_same_results(before, after)
