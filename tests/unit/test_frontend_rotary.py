"""Rotary position embedding is found in the spellings of exporters, and runs as one operator."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest
from npu_world import support_of

from axbuild.toolchain.graph import SPELLED
from axbuild.toolchain.npu.chips.support import refusals
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.rewrites.fuse_rotary import FuseRotary
from frontend_world import assert_same_results, model, node, op_types, optimized, rewritten

ANGLES = np.random.default_rng(3).uniform(0.0, 7.0, (5, 4))


def caches(angles):
    return {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}


HALVES, NEIGHBOURS, PAIRS = map(caches, (np.concatenate([ANGLES, ANGLES], 1), np.repeat(ANGLES, 2, axis=1), ANGLES))
CONSTANTS = {f"i{value}": np.array([value]) for value in (0, 1, 2, 4, 8, -1)} | {"shape": np.array([1, 3, 5, 8])}

SUM = [
    node("Mul", ["x", "cos"], ["kept"]),
    node("Mul", ["t", "sin"], ["turned"]),
    node("Add", ["kept", "turned"], ["y"]),
]
SPLIT = node("Split", ["x"], ["a", "b"], axis=-1, num_outputs=2)
SPELLED_OUT = {
    "halves joined": (
        HALVES,
        [
            node("Slice", ["x", "i0", "i4", "i-1", "i1"], ["a"]), node("Slice", ["x", "i4", "i8", "i-1", "i1"], ["b"]),
            node("Neg", ["b"], ["n"]), node("Concat", ["n", "a"], ["t"], axis=-1), *SUM,
        ],
    ),
    "halves split": (HALVES, [SPLIT, node("Neg", ["b"], ["n"]), node("Concat", ["n", "a"], ["t"], axis=-1), *SUM]),
    "neighbours stacked": (
        NEIGHBOURS,
        [
            node("Slice", ["x", "i0", "i8", "i-1", "i2"], ["a"]), node("Slice", ["x", "i1", "i8", "i-1", "i2"], ["b"]),
            node("Neg", ["b"], ["n"]), node("Unsqueeze", ["n", "i-1"], ["n1"]), node("Unsqueeze", ["a", "i-1"], ["a1"]),
            node("Concat", ["n1", "a1"], ["s"], axis=-1), node("Reshape", ["s", "shape"], ["t"]), *SUM,
        ],
    ),
    "each half by itself": (
        PAIRS,
        [
            SPLIT, node("Mul", ["a", "cos"], ["ac"]), node("Mul", ["b", "sin"], ["bs"]),
            node("Sub", ["ac", "bs"], ["first"]), node("Mul", ["b", "cos"], ["bc"]), node("Mul", ["a", "sin"], ["as"]),
            node("Add", ["bc", "as"], ["second"]), node("Concat", ["first", "second"], ["y"], axis=-1),
        ],
    ),
}  # fmt: skip


def spelled(name, shape=(1, 3, 5, 8), **more):
    weights, nodes = SPELLED_OUT[name]
    read = {value for item in nodes for value in item.input}
    kept = {value: array for value, array in (CONSTANTS | weights | more).items() if value in read}
    return model(nodes, kept, inputs=(("x", list(shape)),), opset=24)


@pytest.mark.parametrize("name", SPELLED_OUT)
def test_a_spelling_becomes_the_operator(name):
    before = spelled(name)
    after, _ = rewritten(FuseRotary(), before)
    assert op_types(after) == ["RotaryEmbedding"]
    (interleaved,) = (item.i for item in after.graph.node[0].attribute if item.name == "interleaved")
    assert interleaved == (name == "neighbours stacked")
    assert_same_results(before, after, 1e-6)


def test_heads_may_stand_behind_the_tokens():
    angles = {key: array[:, np.newaxis] for key, array in HALVES.items()}
    before = spelled("halves joined", (1, 5, 3, 8), **angles)
    after, _ = rewritten(FuseRotary(), before)
    assert op_types(after) == ["Reshape", "RotaryEmbedding", "Reshape"]
    assert_same_results(before, after, 1e-6)


def test_tokens_without_heads_are_one_head_and_samples_share_their_angles():
    before = spelled("halves split", (2, 5, 8))
    after, _ = rewritten(FuseRotary(), before)
    assert op_types(after) == ["RotaryEmbedding"]
    assert_same_results(before, after, 1e-6)


def test_only_pairs_that_turn_are_a_rotation():
    before = spelled("halves joined", cos=HALVES["cos"] * np.arange(8, dtype=np.float32))
    after, reasons = rewritten(FuseRotary(), before)
    assert "RotaryEmbedding" not in op_types(after)
    assert set(reasons.values()) == {"what Add ends turns no pairs of elements"}


def test_it_runs_in_integers_and_where_a_chip_lacks_the_operator_as_its_spelling_does(tmp_path):
    after = optimized(spelled("halves joined"), tmp_path)
    (item,) = ir.from_proto(after).graph
    assert without_integer_form(item) == ""
    assert json.loads(item.metadata_props[SPELLED]) == ["Add", "Concat", "Mul", "Neg", "Slice"]
    for chip in ("AX650", "AX620E"):
        assert refusals(item, support_of(chip)) == []
    del item.metadata_props[SPELLED]
    assert refusals(item, support_of("AX620E")) == ["the NPU of AX620E has no RotaryEmbedding"]
