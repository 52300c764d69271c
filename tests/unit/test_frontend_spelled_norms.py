"""Normalisations that exporters spell out are found whatever the spelling, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.rewrites.fuse_norm import FuseNorm
from frontend_world import assert_same_results, model, node, normal, op_types, rewritten

SCALARS = {"two": 2.0, "half": 0.5, "minus_half": -0.5, "one": 1.0, "eps": 1e-5, "little": 1e-6, "floor": 1e-12}
WEIGHTS = {name: np.array(value, np.float32) for name, value in SCALARS.items()} | {
    "last": np.array([-1]),
    "g": np.abs(normal(16)) + np.float32(0.5),
    "b": normal(16),
    "shape": np.array([2, 5, 16]),
}

Steps = list[tuple[str, ...]]


def spelled(steps: Steps, shape=(2, 5, 16), **more):
    """Each step is (op_type, inputs..., output)."""
    nodes = [
        node(op, list(inputs), [output], name=f"{op.lower()}_{at}") for at, (op, *inputs, output) in enumerate(steps)
    ]
    used = {name for _, *inputs, _ in steps for name in inputs}
    weights = {name: array for name, array in (WEIGHTS | more).items() if name in used}
    return model(nodes, weights, inputs=(("x", list(shape)),), opset=24)


CENTRED: Steps = [("ReduceMean", "x", "last", "m"), ("Sub", "x", "m", "d")]
ROOT: Steps = [("Pow", "d", "two", "q"), ("ReduceMean", "q", "last", "v"), ("Add", "v", "eps", "e"), ("Sqrt", "e", "r")]
MEAN_SQUARE: Steps = [("Pow", "x", "two", "q"), ("ReduceMean", "q", "last", "v"), ("Add", "v", "eps", "e")]
NORM: Steps = [("ReduceL2", "x", "last", "n")]
POWERS: Steps = [
    ("ReduceMax", "x", "last", "m"),
    ("Sub", "x", "m", "d"),
    ("Exp", "d", "e"),
    ("ReduceSum", "e", "last", "s"),
]

FOUND: dict[str, tuple[list[str], Steps]] = {
    "LayerNorm of TorchScript": (
        ["LayerNormalization"],
        [*CENTRED, *ROOT, ("Div", "d", "r", "u"), ("Mul", "u", "g", "w"), ("Add", "w", "b", "y")],
    ),
    "LayerNorm without weights": (["LayerNormalization"], [*CENTRED, *ROOT, ("Div", "d", "r", "y")]),
    "LayerNorm of dynamo's decomposition": (
        ["LayerNormalization"],
        [
            *CENTRED, ("Mul", "d", "d", "q"), ("ReduceMean", "q", "last", "v"), ("Add", "v", "eps", "e"),
            ("Sqrt", "e", "r"), ("Reciprocal", "r", "i"), ("Mul", "d", "i", "u"), ("Mul", "u", "g", "w"),
            ("Add", "w", "b", "y"),
        ],
    ),
    "LayerNorm of TensorFlow": (
        ["LayerNormalization"],
        [
            *CENTRED, ("Mul", "d", "d", "q"), ("ReduceMean", "q", "last", "v"), ("Add", "v", "eps", "e"),
            ("Sqrt", "e", "r"), ("Reciprocal", "r", "i"), ("Mul", "i", "g", "k"), ("Mul", "x", "k", "w"),
            ("Mul", "m", "k", "c"), ("Sub", "b", "c", "o"), ("Add", "w", "o", "y"),
        ],
    ),
    "LayerNorm of Paddle": (
        ["LayerNormalization"],
        [
            *CENTRED, ("Pow", "d", "two", "q"), ("ReduceMean", "q", "last", "v"), ("Add", "v", "eps", "e"),
            ("Pow", "e", "half", "r"), ("Div", "d", "r", "u"), ("Mul", "u", "g", "w"), ("Add", "w", "b", "y"),
        ],
    ),
    "RMSNorm of dynamo": (
        ["RMSNormalization"],
        [*MEAN_SQUARE, ("Sqrt", "e", "r"), ("Reciprocal", "r", "i"), ("Mul", "x", "i", "u"), ("Mul", "u", "g", "y")],
    ),
    "RMSNorm of TorchScript": (
        ["RMSNormalization"],
        [
            *MEAN_SQUARE, ("Sqrt", "e", "r"), ("Div", "one", "r", "i"), ("Mul", "x", "i", "u"),
            ("Mul", "g", "u", "y"),
        ],
    ),
    "RMSNorm by a power": (
        ["RMSNormalization"],
        [*MEAN_SQUARE, ("Pow", "e", "minus_half", "i"), ("Mul", "x", "i", "u"), ("Mul", "u", "g", "y")],
    ),
    "RMSNorm by the L2 norm": (["RMSNormalization"], [*NORM, ("Div", "x", "n", "u"), ("Mul", "u", "g", "y")]),
    "L2 norm": (["LpNormalization"], [*NORM, ("Div", "x", "n", "y")]),
    "L2 norm of torch": (
        ["LpNormalization"],
        [*NORM, ("Clip", "n", "floor", "k"), ("Expand", "k", "shape", "w"), ("Div", "x", "w", "y")],
    ),
    "L2 norm of TensorFlow": (
        ["LpNormalization"],
        [
            ("Mul", "x", "x", "q"), ("ReduceSum", "q", "last", "s"), ("Max", "s", "floor", "k"), ("Sqrt", "k", "r"),
            ("Reciprocal", "r", "i"), ("Mul", "x", "i", "y"),
        ],
    ),
    "L2 norm and an epsilon": (["LpNormalization"], [*NORM, ("Add", "n", "little", "k"), ("Div", "x", "k", "y")]),
    "Softmax": (["Softmax"], [*POWERS, ("Div", "e", "s", "y")]),
    "Softmax as a product": (["Softmax"], [*POWERS, ("Reciprocal", "s", "i"), ("Mul", "e", "i", "y")]),
    "Softmax without the maximum": (
        ["Softmax"], [("Exp", "x", "e"), ("ReduceSum", "e", "last", "s"), ("Div", "e", "s", "y")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_a_spelling_becomes_the_operator(name):
    wanted, steps = FOUND[name]
    before = spelled(steps)
    after, _ = rewritten(FuseNorm(), before)
    assert op_types(after) == wanted
    assert_same_results(before, after, 1e-5)


def test_scale_bias_and_epsilon_are_the_models_own():
    after, _ = rewritten(FuseNorm(), spelled(FOUND["LayerNorm of TensorFlow"][1]))
    (norm,) = after.graph.node
    weights = {tensor.name: np.frombuffer(tensor.raw_data, np.float32) for tensor in after.graph.initializer}
    assert np.array_equal(weights[norm.input[1]], WEIGHTS["g"])
    assert np.allclose(weights[norm.input[2]], WEIGHTS["b"], rtol=1e-6)
    assert {item.name: item.f for item in norm.attribute if item.name == "epsilon"} == {"epsilon": np.float32(1e-5)}


@pytest.mark.parametrize("axes", [[1], [1, 3], [-3, -1]], ids=str)
def test_axes_that_are_not_the_last_are_transposed_there_and_back(axes):
    before = spelled(FOUND["LayerNorm without weights"][1], (2, 5, 4, 3), last=np.array(axes))
    after, _ = rewritten(FuseNorm(), before)
    joined = ["Reshape"] if len(axes) > 1 else []
    assert op_types(after) == ["Transpose", *joined, "LayerNormalization", *joined, "Transpose"]
    assert_same_results(before, after, 1e-5)


def test_scale_and_bias_over_several_axes_belong_to_the_normalisation():
    gains = {"last": np.array([-2, -1]), "g": np.abs(normal(5, 16)) + np.float32(0.5), "b": normal(5, 16)}
    before = spelled(FOUND["LayerNorm of TorchScript"][1], **gains)
    after, _ = rewritten(FuseNorm(), before)
    assert op_types(after) == ["Reshape", "LayerNormalization", "Reshape"]
    assert_same_results(before, after)


def test_all_axes_of_a_sample_are_normalised_as_one():
    before = spelled(FOUND["LayerNorm without weights"][1], (2, 5, 4, 3), last=np.array([1, 2, 3]))
    after, _ = rewritten(FuseNorm(), before)
    assert op_types(after) == ["Reshape", "LayerNormalization", "Reshape"]
    assert_same_results(before, after, 1e-5)


OTHERS: dict[str, tuple[list[str], Steps, dict[str, object]]] = {
    "across samples": (
        ["ReduceMean", "Sub", "RMSNormalization"],
        [("ReduceMean", "x", "first", "m"), ("Sub", "x", "m", "d"), *ROOT, ("Div", "d", "r", "y")],
        {"first": np.array([0])},
    ),
    "a large epsilon beside the norm": (
        ["ReduceL2", "Add", "Div"], FOUND["L2 norm and an epsilon"][1], {"little": np.array(0.5, np.float32)},
    ),
    "a large floor": (
        ["ReduceL2", "Clip", "Expand", "Div"], FOUND["L2 norm of torch"][1], {"floor": np.array(0.5, np.float32)},
    ),
    "a lost axis": (
        ["ReduceL2", "Reshape", "Div"],
        [("ReduceL2", "x", "last", "n"), ("Reshape", "n", "back", "k"), ("Div", "x", "k", "y")],
        {"back": np.array([2, 5, 1])},
    ),
    "a share of another tensor": (
        ["Softsign", "Exp", "ReduceSum", "Div"],
        [("Softsign", "x", "o"), ("Exp", "o", "p"), ("ReduceSum", "x", "last", "s"), ("Div", "p", "s", "y")],
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_none_stays_as_it_was_spelled(name):
    kept, steps, more = OTHERS[name]
    after, reasons = rewritten(FuseNorm(), spelled(steps, **more))
    assert op_types(after) == kept
    assert set(reasons.values()) <= {f"what {op} ends is no normalisation of one tensor" for op in FuseNorm.op}
