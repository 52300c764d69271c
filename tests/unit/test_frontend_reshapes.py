"""Changes of shape that cancel each other go, and samples stay apart in the layers between them."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.one_reshape import OneReshape
from axbuild.toolchain.rewrites.reshape_first import ReshapeFirst
from axbuild.toolchain.rewrites.rows_of_samples import RowsOfSamples
from frontend_world import assert_same_results, model, node, normal, op_types, optimized, rewritten


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


@pytest.mark.parametrize("zeros", [0, 1])
@pytest.mark.parametrize(("last", "made"), [([2, 3, 5, 4], []), ([6, 20], ["Reshape"])], ids=str)
def test_what_works_element_by_element_is_reshaped_once(last, made, zeros):
    nodes = [
        node("Reshape", ["x", "first"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Mul", ["two", "b"], ["c"]),
        node("Reshape", ["c", "last"], ["y"], allowzero=zeros),
    ]
    weights = {"first": np.array([30, 4]), "two": np.array(2, np.float32), "last": np.array(last)}
    before = model(nodes, weights, inputs=(("x", [2, 3, 5, 4]),))
    after, _ = rewritten(OneReshape(), before)
    assert op_types(after) == [*made, "Relu", "Mul"]
    assert_same_results(before, after, tolerance=0.0)


def test_what_differs_from_row_to_row_is_not_moved():
    nodes = [
        node("Reshape", ["x", "first"], ["a"]),
        node("Mul", ["a", "four"], ["b"]),
        node("Reshape", ["b", "last"], ["y"], name="n"),
    ]
    weights = {"first": np.array([30, 4]), "four": normal(4), "last": np.array([6, 20])}
    _, reasons = rewritten(OneReshape(), model(nodes, weights, inputs=(("x", [2, 3, 5, 4]),)))
    assert reasons["n"] == "input of Reshape was not reshaped"


def mixer(*tail, shape=(2, 5, 8), joined=(10, 8)):
    """Layers over joined rows; `tail` goes on from "b"."""
    weights = {
        "joined": np.array(joined), "apart": np.array([2, 5, -1]), "v": normal(6, 8), "w": normal(7, 6),
        "c": normal(6), "d": normal(7),
    }  # fmt: skip
    nodes = [node("Reshape", ["x", "joined"], ["a"]), node("Gemm", ["a", "v", "c"], ["b"], transB=1, name="n"), *tail]
    used = {name for item in nodes for name in item.input}
    return model(
        nodes,
        {name: array for name, array in weights.items() if name in used},
        inputs=(("x", list(shape)),),
        outputs=tuple(nodes[-1].output),
    )


@pytest.mark.parametrize(
    ("shape", "made"), [((2, 5, 8), []), ((2, 5, 2, 4), ["Reshape"]), ((1, 2, 5, 8), ["Reshape"])], ids=str
)
def test_rows_that_a_layer_joins_stay_with_their_samples(tmp_path, shape, made):
    tail = [
        node("Relu", ["b"], ["e"]),
        node("Gemm", ["e", "w", "d"], ["f"], transB=1),
        node("Reshape", ["f", "apart"], ["y"]),
    ]
    before = mixer(*tail, shape=shape)
    after = optimized(before, tmp_path)
    assert [name for name in op_types(after) if name != "Reshape"] == ["MatMul", "Add", "Relu", "MatMul", "Add"]
    assert op_types(after).count("Reshape") == len(made)
    assert_same_results(before, after)


@pytest.mark.parametrize("shape", [(10, 8, 1, 1), (10, 2, 4)], ids=str)
def test_a_layer_of_one_row_a_sample_stays_a_gemm(shape):
    _, reasons = rewritten(RowsOfSamples(), mixer(shape=shape))
    assert reasons == {"n": "Reshape before Gemm joins no rows of samples"}
