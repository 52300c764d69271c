"""Masks of attention in the spellings that exporters write: each becomes the condition of a Where before Softmax."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.rewrites.cast_to_bool import CastToBool
from axbuild.toolchain.rewrites.clip_to_extremes import ClipToExtremes
from axbuild.toolchain.rewrites.drop_expand import DropExpand
from axbuild.toolchain.rewrites.drop_nan_guard import DropNanGuard
from axbuild.toolchain.rewrites.mask_to_where import MaskToWhere
from axbuild.toolchain.rewrites.narrow_integers import NarrowIntegers
from axbuild.toolchain.rewrites.or_to_greater import OrToGreater
from axbuild.toolchain.rewrites.own_mask import OwnMask
from axbuild.toolchain.rewrites.pair_operands import PairOperands
from axbuild.toolchain.rewrites.whole_scores import WholeScores
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

LOWEST = np.finfo(np.float32).min
SCORES = ("x", [2, 3, 5, 5])
CAUSAL = np.triu(np.full((5, 5), LOWEST, np.float32), 1)
C = {
    "one": np.float32(1),
    "lowest": LOWEST,
    "low": np.float32(-1e4),
    "none": np.float32(0),
    "never": np.float32(-np.inf),
    "axes": np.array([1, 2]),
    "zero": np.array(0),
    "causal": CAUSAL,
    "shifted": np.where(np.arange(50).reshape(2, 1, 5, 5) % 3 == 1, np.float32(-100), np.float32(0)),
}


def attention(nodes, inputs=(), mask="m"):
    """A Softmax of scores and a mask, given out; the mask's nodes before it."""
    end = [node("Add", ["x", mask], ["s"], name="add"), node("Softmax", ["s"], ["y"], name="softmax")]
    used = {name for item in (*nodes, *end) for name in item.input}
    proto = model([*nodes, *end], {k: v for k, v in C.items() if k in used}, inputs=[SCORES])
    for name, shape, kind in inputs:
        proto.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    return proto


FLAGS = [("mask", [2, 5], TensorProto.INT64)]
TRUTH = [("mask", [2, 5], TensorProto.BOOL)]
SPREAD = node("Unsqueeze", ["mask", "axes"], ["wide"], name="spread")
INVERTED = [SPREAD, node("Cast", ["wide"], ["f"], to=1), node("Sub", ["one", "f"], ["i"])]
COMPARED = [node("Equal", ["mask", "zero"], ["pad"]), node("Unsqueeze", ["pad", "axes"], ["wide"])]
SPELLINGS = {
    "BERT": ([*INVERTED, node("Mul", ["i", "low"], ["m"])], FLAGS),
    "MiniLM": ([*INVERTED, node("Mul", ["i", "lowest"], ["m"])], FLAGS),
    "masked_fill of what is inverted": (
        [*INVERTED, node("Cast", ["i"], ["b"], to=9), node("Where", ["b", "lowest", "i"], ["m"])],
        FLAGS,
    ),
    "scaled_dot_product_attention": ([SPREAD, node("Where", ["wide", "none", "never"], ["m"])], TRUTH),
    "a comparison": ([*COMPARED, node("Where", ["wide", "never", "none"], ["m"])], FLAGS),
    "a logarithm": ([SPREAD, node("Cast", ["wide"], ["f"], to=1), node("Log", ["f"], ["m"])], FLAGS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_computed_mask_is_a_condition_however_it_is_spelled(spelling):
    before = attention(*SPELLINGS[spelling])
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after)[-2:] == ["Where", "Softmax"]
    assert set(op_types(after)) <= {"Equal", "Not", "Unsqueeze", "Where", "Softmax"}
    assert_same_results(before, after)


@pytest.mark.parametrize("mask", ["causal", "shifted"])
def test_a_constant_mask_is_a_constant_condition(mask):
    before = attention([], mask=mask)
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after) == ["Where", "Softmax"]
    hidden = next(t for t in after.graph.initializer if t.name == after.graph.node[0].input[0])
    np.testing.assert_array_equal(numpy_helper.to_array(hidden), C[mask] != 0)
    assert_same_results(before, after)


def test_a_mask_of_windows_is_found_before_the_reshape_that_joins_them():
    weights = {"split": np.array([1, 2, 3, 5, 5]), "join": np.array([2, 3, 5, 5]), "m": C["shifted"]}
    nodes = [
        node("Reshape", ["x", "split"], ["windows"]),
        node("Add", ["windows", "m"], ["s"]),
        node("Reshape", ["s", "join"], ["joined"], name="joined"),
        node("Softmax", ["joined"], ["y"], name="softmax"),
    ]
    before = model(nodes, weights, inputs=[SCORES])
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after) == ["Reshape", "Where", "Softmax", "Reshape"]
    assert_same_results(before, after)


def test_softmaxes_that_share_a_mask_get_one_each():
    nodes = [
        node("Where", ["h", "low", "x"], ["w"], name="where"),
        node("Softmax", ["w"], ["y"], name="first"),
        node("Softmax", ["w"], ["z"], name="second", axis=1),
    ]
    weights = {"h": np.arange(8) > 3, "low": np.float32(-1e9)}
    before = model(nodes, weights, outputs=("y", "z"))
    after, _ = rewritten(OwnMask(), before)
    assert op_types(after) == ["Where", "Where", "Softmax", "Softmax"]
    assert_same_results(before, after)


def test_scores_that_a_mask_repeats_are_repeated_before_it():
    nodes = [
        node("ReduceMean", ["x", "axis"], ["mean"]),
        node("Where", ["h", "low", "mean"], ["w"], name="where"),
        node("Softmax", ["w"], ["y"], name="softmax"),
    ]
    weights = {"h": np.arange(8) > 3, "low": np.float32(-1e9), "axis": np.array([-1])}
    before = model(nodes, weights)
    after, _ = rewritten(WholeScores(), before)
    assert op_types(after) == ["ReduceMean", "Expand", "Where", "Softmax"]
    assert_same_results(before, after)
    again, _ = rewritten(DropExpand(), after)
    assert op_types(again) == op_types(after)


def test_masks_one_after_the_other_are_one_condition():
    nodes, inputs = SPELLINGS["MiniLM"]
    before = attention([*nodes, node("Add", ["m", "causal"], ["both"])], inputs, mask="both")
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after) == ["Unsqueeze", "Equal", "Or", "Where", "Softmax"]
    assert_same_results(before, after)


def test_a_mask_behind_a_where_joins_its_condition():
    nodes = [
        node("Add", ["x", "causal"], ["a"]),
        node("Unsqueeze", ["mask", "axes"], ["wide"]),
        node("Where", ["wide", "a", "never"], ["s"]),
        node("Softmax", ["s"], ["y"], name="softmax"),
    ]
    before = model(nodes, {"causal": CAUSAL, "axes": C["axes"], "never": C["lowest"]}, inputs=[SCORES])
    before.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, [2, 5]))
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after) == ["Unsqueeze", "Not", "Or", "Where", "Softmax"]
    inputs = check.random_inputs(LightModel(after))
    inputs["mask"][:, 0] = True
    (expected, found) = (check.run(LightModel(proto), inputs)["y"] for proto in (before, after))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_layers_that_add_one_mask_share_its_condition():
    nodes, _ = SPELLINGS["MiniLM"]
    nodes = [*nodes, node("Add", ["m", "causal"], ["b"])]
    layers = [node("Add", ["x", "b"], ["s"]), node("Softmax", ["s"], ["p"])]
    layers += [node("Add", ["p", "b"], ["t"]), node("Softmax", ["t"], ["y"])]
    before = model([*nodes, *layers], {k: C[k] for k in ("one", "lowest", "axes", "causal")}, inputs=[SCORES])
    before.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.INT64, [2, 5]))
    after, _ = rewritten(MaskToWhere(), before)
    assert op_types(after) == ["Unsqueeze", "Equal", "Or", "Where", "Softmax", "Where", "Softmax"]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("nodes", "inputs", "mask"),
    [
        ([node("Cast", ["mask"], ["f"], to=1)], [("mask", [5], TensorProto.INT64)], "f"),
        ([node("Mul", ["bias", "low"], ["m"])], [("bias", [5], TensorProto.FLOAT)], "m"),
        ([], [("bias", [5], TensorProto.FLOAT)], "bias"),
    ],
    ids=["no low value", "of reals", "no mask"],
)
def test_what_is_no_mask_stays_an_addition(nodes, inputs, mask):
    after, reasons = rewritten(MaskToWhere(), attention(nodes, inputs, mask))
    assert op_types(after)[-2:] == ["Add", "Softmax"]
    assert reasons == {"softmax": "what is added before Softmax is no mask"}


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64])
def test_truth_values_of_numbers_are_a_comparison(kind):
    before = model([node("Cast", ["x"], ["y"], to=9)], kind=kind)
    before.graph.output[0].type.tensor_type.elem_type = TensorProto.BOOL
    after, _ = rewritten(CastToBool(), before)
    assert op_types(after) == ["Equal", "Not"]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("bounds", "becomes"), [(["lo", "hi"], ["Max", "Min"]), (["lo"], ["Max"]), (["", "hi"], ["Min"])]
)
def test_a_clamp_of_whole_numbers_is_two_choices(bounds, becomes):
    constants = {name: value for name, value in {"lo": np.array(2), "hi": np.array(5)}.items() if name in bounds}
    before = model([node("Clip", ["x", *bounds], ["y"])], constants, kind=TensorProto.INT64)
    after, _ = rewritten(ClipToExtremes(), before)
    assert op_types(after) == becomes
    assert_same_results(before, after)


@pytest.mark.parametrize("first", ["x", "c"])
def test_or_counts_what_is_true(first):
    truth = {"c": np.arange(8) % 3 == 0}
    before = model([node("Or", [first, "c" if first == "x" else "x"], ["y"])], truth, kind=TensorProto.BOOL)
    after, _ = rewritten(OrToGreater(), before)
    assert op_types(after) == ["Cast", "Add", "Greater"]
    assert_same_results(before, after)


@pytest.mark.parametrize("op_type", ["Max", "Min"])
def test_more_than_two_operands_are_joined_in_pairs(op_type):
    inputs = (("a", [2, 3]), ("b", [3]), ("c", [2, 1]), ("d", [1]))
    before = model([node(op_type, ["a", "b", "c", "d"], ["y"], name="many")], inputs=inputs)
    after, _ = rewritten(PairOperands(), before)
    assert op_types(after) == [op_type] * 3
    assert_same_results(before, after)


def test_whole_numbers_stay_as_narrow_as_they_began():
    constants = {"one": np.array(1), "table": normal(20, 3), "axis": np.array(1), "axes": np.array([2])}
    nodes = [
        node("Cast", ["x"], ["truth"], to=9),
        node("Cast", ["truth"], ["n"], to=6),
        node("CumSum", ["n", "axis"], ["count"]),
        node("Cast", ["count"], ["wide"], to=7),
        node("Add", ["wide", "one"], ["next"], name="add"),
        node("Unsqueeze", ["next", "axes"], ["index"]),
        node("Gather", ["table", "index"], ["y"], name="rows"),
    ]
    before = model(nodes, constants, inputs=[("x", [1, 6])], kind=TensorProto.INT64)
    before.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    after, _ = rewritten(NarrowIntegers(), before)
    assert op_types(after) == ["Cast", "Cast", "CumSum", "Add", "Unsqueeze", "Gather"]
    assert_same_results(before, after)


@pytest.mark.parametrize("op_type", ["Max", "Min"])
def test_the_largest_of_many_whole_numbers_is_narrow_in_each_of_them(op_type):
    nodes = [node("Cast", ["x"], ["w"], to=7), node(op_type, ["w", "two", "five"], ["y"], name="bound")]
    before = model(nodes, {"two": np.array(2), "five": np.array(5)}, inputs=[("x", [1, 6])], kind=TensorProto.INT32)
    before.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    after, _ = rewritten(NarrowIntegers(), before)
    assert op_types(after) == [op_type, "Cast"]
    assert_same_results(before, after)


def test_what_may_not_fit_32_bits_stays_wide():
    nodes = [node("Cast", ["x"], ["w"], to=7), node("Mul", ["w", "w"], ["y"], name="square")]
    before = model(nodes, inputs=[("x", [1, 6])], kind=TensorProto.INT32)
    before.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    after, reasons = rewritten(NarrowIntegers(), before)
    assert op_types(after) == ["Cast", "Mul"]
    assert reasons["square"] == "the result of Mul may not fit 32 bits"


def guarded(scores):
    """As torch guards a softmax against lines that are hidden whole."""
    return [
        *scores,
        node("Softmax", ["s"], ["p"]),
        node("IsNaN", ["p"], ["bad"]),
        node("Where", ["bad", "none", "p"], ["shares"]),
        node("Neg", ["shares"], ["y"]),
    ]


@pytest.mark.parametrize("hidden", ["lowest", "never"])
def test_a_guarded_softmax_needs_no_guard_where_the_lowest_number_hides(hidden):
    weights = {"later": CAUSAL != 0, hidden: C[hidden], "none": C["none"]}
    before = model(guarded([node("Where", ["later", hidden, "x"], ["s"])]), weights, inputs=[SCORES])
    after, _ = rewritten(DropNanGuard(), before)
    assert op_types(after) == ["Where", "Softmax", "Neg"]
    assert {t.name: numpy_helper.to_array(t) for t in after.graph.initializer}[after.graph.node[0].input[1]] == LOWEST
    assert_same_results(before, after)


def test_what_else_is_chosen_by_nan_stays():
    nodes = guarded([node("Neg", ["x"], ["s"])])
    nodes[-2].input[1] = "one"
    after, reasons = rewritten(DropNanGuard(), model(nodes, {"one": C["one"]}, inputs=[SCORES]))
    assert op_types(after) == ["Neg", "Softmax", "IsNaN", "Where", "Neg"]
    assert list(reasons.values()) == ["Where makes no zeros of what is NaN in a Softmax"]
