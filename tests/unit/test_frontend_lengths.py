"""Square roots of sums of squares are found, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.fuse_length import FuseLength
from frontend_world import assert_same_results, model, node, op_types, rewritten

TWO, AXES = np.array(2.0, np.float32), np.array([1])
SHAPE = [2, 5, 16]


def magnitude(square: str, join: str = "Add", shapes: tuple[list[int], ...] = (SHAPE, SHAPE)):
    """Sqrt(a^2 + b^2)"""
    squares = [node(square, [x, x if square == "Mul" else "two"], [f"{x}2"]) for x in ("a", "b")]
    nodes = [*squares, node(join, ["a2", "b2"], ["s"]), node("Sqrt", ["s"], ["y"])]
    return model(nodes, {"two": TWO} if square == "Pow" else {}, inputs=tuple(zip("ab", shapes, strict=True)))


def norm(keepdims: int, exponent: np.ndarray = TWO, outputs: tuple[str, ...] = ("y",), shape: list[int] = SHAPE):
    """Sqrt(ReduceSum(x^2))"""
    nodes = [
        node("Pow", ["x", "e"], ["q"]),
        node("ReduceSum", ["q", "axes"], ["s"], keepdims=keepdims),
        node("Sqrt", ["s"], ["y"]),
    ]
    return model(nodes, {"e": exponent, "axes": AXES}, inputs=(("x", shape),), outputs=outputs)


@pytest.mark.parametrize("square", ["Mul", "Pow"])
def test_the_magnitude_of_two_parts_is_one_length(square):
    before = magnitude(square)
    after, _ = rewritten(FuseLength(), before)
    assert op_types(after) == ["Reshape", "Reshape", "Concat", "ReduceL2", "Reshape"]
    assert_same_results(before, after, 1e-5)


@pytest.mark.parametrize("keepdims", [0, 1])
def test_the_root_of_a_sum_of_squares_is_one_length(keepdims):
    before = norm(keepdims)
    after, _ = rewritten(FuseLength(), before)
    assert op_types(after) == ["ReduceL2"]
    assert_same_results(before, after, 1e-5)


@pytest.mark.parametrize(
    "before",
    [
        magnitude("Mul", "Sub"),
        magnitude("Mul", shapes=(SHAPE, [1, 5, 1])),
        norm(1, np.array(3.0, np.float32)),
        norm(1, shape=[2, 1, 16]),
        norm(1, outputs=("y", "q")),
        norm(1, outputs=("y", "s")),
    ],
    ids=[
        "a difference",
        "parts of two shapes",
        "cubes",
        "a sum of one",
        "squares that are an output",
        "a sum that is an output",
    ],
)
def test_what_is_no_length_stays(before):
    after, reasons = rewritten(FuseLength(), before)
    assert op_types(after) == op_types(before)
    assert len(reasons) == 1
