"""Activations that exporters spell out are found whatever the spelling, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.rewrites.fuse_activation import FuseActivation
from axbuild.toolchain.rewrites.rewrite import Edit, apply
from axbuild.toolchain.rewrites.scaled_elu import ScaledElu
from frontend_world import after_edit, assert_same_results, model, node, rewritten, with_shapes

SCALARS = {
    name: np.array(value, np.float32)
    for name, value in {
        "half": 0.5,
        "one": 1.0,
        "two": 2.0,
        "three": 3.0,
        "six": 6.0,
        "zero": 0.0,
        "root": 2.0**0.5,
        "inverse_root": 0.5**0.5,
        "cubic": 0.044715,
        "circle": (2.0 / np.pi) ** 0.5,
        "quick": 1.702,
        "sixth": 1.0 / 6.0,
        "alpha": 1.6732632,
        "gamma": 1.050701,
        "product": 1.6732632 * 1.050701,
        "fifth": 0.2,
    }.items()
} | {"vector": np.arange(3, dtype=np.float32).reshape(3, 1, 1), "listed": np.ones(1, np.float32)}

Steps = list[tuple[str, ...]]


def spelled(steps: Steps):
    """Each step is (op_type, inputs..., output)."""
    nodes = [
        node(op, list(inputs), [output], name=f"{op.lower()}_{at}") for at, (op, *inputs, output) in enumerate(steps)
    ]
    used = {name for _, *inputs, _ in steps for name in inputs}
    return model(nodes, {name: array for name, array in SCALARS.items() if name in used}, opset=24)


def fused(proto):
    graph = with_shapes(proto)
    edit = Edit(graph.graph)
    apply(FuseActivation(), edit)
    return after_edit(graph, edit, check.random_inputs(LightModel(proto)))


FOUND: dict[str, tuple[str, Steps]] = {
    "SiLU": ("Swish", [("Sigmoid", "x", "s"), ("Mul", "x", "s", "y")]),
    "SiLU turned round": ("Swish", [("Sigmoid", "x", "s"), ("Mul", "s", "x", "y")]),
    "SiLU as a quotient": (
        "Swish",
        [("Neg", "x", "n"), ("Exp", "n", "e"), ("Add", "e", "one", "d"), ("Div", "x", "d", "y")],
    ),
    "quick GELU": ("Swish", [("Mul", "x", "quick", "q"), ("Sigmoid", "q", "s"), ("Mul", "x", "s", "y")]),
    "hard swish of torch": (
        "HardSwish",
        [
            ("Add", "x", "three", "a"), ("Clip", "a", "zero", "six", "c"),
            ("Mul", "x", "c", "m"), ("Div", "m", "six", "y"),
        ],
    ),
    "hard swish of Keras": (
        "HardSwish",
        [
            ("Add", "x", "three", "a"), ("Relu", "a", "r"), ("Min", "r", "six", "c"),
            ("Mul", "c", "sixth", "s"), ("Mul", "s", "x", "y"),
        ],
    ),
    "hard sigmoid": (
        "HardSigmoid",
        [("Add", "x", "three", "a"), ("Clip", "a", "zero", "six", "c"), ("Div", "c", "six", "y")],
    ),
    "GELU of TorchScript": (
        "Gelu",
        [
            ("Div", "x", "root", "d"), ("Erf", "d", "e"), ("Add", "e", "one", "a"),
            ("Mul", "x", "a", "m"), ("Mul", "m", "half", "y"),
        ],
    ),
    "GELU of TensorFlow": (
        "Gelu",
        [
            ("Mul", "x", "inverse_root", "d"), ("Erf", "d", "e"), ("Add", "one", "e", "a"),
            ("Mul", "x", "half", "h"), ("Mul", "h", "a", "y"),
        ],
    ),
    "GELU by tanh": (
        "Gelu",
        [
            ("Pow", "x", "three", "p"), ("Mul", "p", "cubic", "c"), ("Add", "x", "c", "s"), ("Mul", "s", "circle", "z"),
            ("Tanh", "z", "t"), ("Add", "t", "one", "a"), ("Mul", "x", "half", "h"), ("Mul", "h", "a", "y"),
        ],
    ),
    "GELU by tanh of products": (
        "Gelu",
        [
            ("Mul", "x", "x", "q"), ("Mul", "q", "x", "p"), ("Mul", "cubic", "p", "c"), ("Add", "c", "x", "s"),
            ("Mul", "circle", "s", "z"), ("Tanh", "z", "t"), ("Add", "one", "t", "a"), ("Mul", "a", "half", "h"),
            ("Mul", "h", "x", "y"),
        ],
    ),
    "Mish": ("Mish", [("Softplus", "x", "p"), ("Tanh", "p", "t"), ("Mul", "x", "t", "y")]),
    "Mish by logarithms": (
        "Mish",
        [("Exp", "x", "e"), ("Add", "e", "one", "a"), ("Log", "a", "p"), ("Tanh", "p", "t"), ("Mul", "t", "x", "y")],
    ),
    "GELU of TensorFlow by erfc": (
        "Gelu",
        [
            ("Neg", "x", "n"), ("Mul", "n", "inverse_root", "d"), ("Erf", "d", "e"), ("Sub", "one", "e", "c"),
            ("Mul", "half", "x", "h"), ("Mul", "h", "c", "y"),
        ],
    ),
    "swish of Paddle": ("Swish", [("Mul", "x", "one", "q"), ("Sigmoid", "q", "s"), ("Mul", "x", "s", "y")]),
    "hard sigmoid of Keras": (
        "HardSigmoid",
        [("Mul", "x", "fifth", "m"), ("Add", "m", "half", "a"), ("Max", "a", "zero", "l"), ("Min", "l", "one", "y")],
    ),
    "body of ELU": (
        "Elu",
        [
            ("Less", "x", "zero", "b"), ("Exp", "x", "e"), ("Sub", "e", "one", "s"), ("Mul", "half", "s", "m"),
            ("Where", "b", "m", "x", "y"),
        ],
    ),
    "ELU of maxima": (
        "Elu",
        [
            ("Max", "x", "zero", "p"), ("Min", "x", "zero", "n"), ("Exp", "n", "e"), ("Sub", "e", "one", "s"),
            ("Add", "p", "s", "y"),
        ],
    ),
    "body of leaky ReLU": (
        "LeakyRelu",
        [("Less", "x", "zero", "b"), ("Mul", "fifth", "x", "m"), ("Where", "b", "m", "x", "y")],
    ),
    "leaky ReLU of TensorFlow": ("LeakyRelu", [("Mul", "x", "fifth", "m"), ("Max", "m", "x", "y")]),
    "ReLU by a comparison": ("Relu", [("Greater", "x", "zero", "b"), ("Where", "b", "x", "zero", "y")]),
    "softplus of torch": (
        "Softplus",
        [("Softplus", "x", "p"), ("Greater", "x", "six", "b"), ("Where", "b", "p", "p", "y")],
    ),
    "body of softplus": ("Softplus", [("Exp", "x", "e"), ("Add", "e", "one", "a"), ("Log", "a", "y")]),
    "behind a layer": ("Swish", [("Softsign", "x", "l"), ("Sigmoid", "l", "s"), ("Mul", "l", "s", "y")]),
    "constants of rank 1": ("Swish", [("Mul", "x", "listed", "q"), ("Sigmoid", "q", "s"), ("Mul", "x", "s", "y")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_a_spelling_becomes_the_operator(name):
    op_type, steps = FOUND[name]
    proto = spelled(steps)
    after = fused(proto)
    assert [item.op_type for item in after.graph.node if item.op_type != "Softsign"] == [op_type]
    assert_same_results(proto, after, 1e-5)


def test_the_body_of_hard_swish_is_it():
    nodes = [node("HardSigmoid", ["x"], ["s"], name="s", alpha=1.0 / 6.0), node("Mul", ["x", "s"], ["y"], name="y")]
    assert [item.op_type for item in fused(model(nodes)).graph.node] == ["HardSwish"]


SCALED: dict[str, tuple[list[str], Steps]] = {
    "body of SELU": (
        ["Elu", "Mul"],
        [
            ("Exp", "x", "e"), ("Mul", "alpha", "e", "a"), ("Sub", "a", "alpha", "s"), ("Mul", "gamma", "s", "n"),
            ("Mul", "gamma", "x", "p"), ("Less", "x", "zero", "b"), ("Where", "b", "n", "p", "y"),
        ],
    ),
    "SELU of torch": (
        ["Elu", "Mul"],
        [
            ("Greater", "x", "zero", "b"), ("Mul", "x", "gamma", "p"), ("Exp", "x", "e"), ("Sub", "e", "one", "m"),
            ("Mul", "m", "product", "n"), ("Where", "b", "p", "n", "y"),
        ],
    ),
    "body of CELU": (
        ["Mul", "Elu", "Mul"],
        [
            ("Div", "x", "two", "d"), ("Exp", "d", "e"), ("Sub", "e", "one", "s"), ("Mul", "s", "two", "m"),
            ("Min", "m", "zero", "n"), ("Max", "x", "zero", "p"), ("Add", "p", "n", "y"),
        ],
    ),
    "a sharper softplus": (
        ["Mul", "Softplus", "Mul"],
        [
            ("Mul", "x", "two", "d"), ("Softplus", "d", "p"), ("Div", "p", "two", "q"), ("Greater", "d", "six", "b"),
            ("Where", "b", "q", "q", "y"),
        ],
    ),
    "logarithm of a sigmoid": (["Mul", "Softplus", "Mul"], [("Sigmoid", "x", "s"), ("Log", "s", "y")]),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALED)
def test_a_spelling_becomes_the_operator_between_factors(name):
    operators, steps = SCALED[name]
    proto = spelled(steps)
    after = fused(proto)
    assert [item.op_type for item in after.graph.node] == operators
    assert_same_results(proto, after, 1e-5)


@pytest.mark.parametrize(
    ("op_type", "attributes", "operators"),
    [
        ("Selu", {}, ["Elu", "Mul"]),
        ("Selu", {"alpha": 2.0, "gamma": 1.0}, ["Elu"]),
        ("Celu", {}, ["Elu"]),
        ("Celu", {"alpha": 3.0}, ["Mul", "Elu", "Mul"]),
    ],
)
def test_a_unit_with_factors_of_its_own_is_the_one_that_chips_have(op_type, attributes, operators):
    proto = model([node(op_type, ["x"], ["y"], name="unit", **attributes)])
    after, _ = rewritten(ScaledElu(), proto)
    assert [item.op_type for item in after.graph.node] == operators
    assert_same_results(proto, after, 1e-6)


def test_the_form_of_gelu_and_the_slope_of_swish_are_kept():
    erf, by_tanh = (fused(spelled(FOUND[name][1])) for name in ("GELU of TorchScript", "GELU by tanh"))
    assert not erf.graph.node[0].attribute
    assert by_tanh.graph.node[0].attribute[0].s == b"tanh"
    (alpha,) = fused(spelled(FOUND["quick GELU"][1])).graph.node[0].attribute
    assert alpha.f == pytest.approx(1.702, abs=1e-6)


OTHERS: dict[str, tuple[Steps, list[str]]] = {
    "two tensors": (
        [("Softsign", "x", "v"), ("Sigmoid", "v", "s"), ("Mul", "x", "s", "y")],
        ["Softsign", "Sigmoid", "Mul"],
    ),
    "more than an activation": (
        [("Sigmoid", "x", "s"), ("Mul", "x", "s", "m"), ("Add", "m", "half", "y")],
        ["Swish", "Add"],
    ),
    "far below any activation": (
        [("Mul", "x", "x", "q"), ("Mul", "q", "six", "s"), ("Sub", "x", "s", "y")],
        ["Mul", "Mul", "Sub"],
    ),
    "a constant a channel": (
        [("Mul", "x", "vector", "q"), ("Sigmoid", "q", "s"), ("Mul", "x", "s", "y")],
        ["Mul", "Sigmoid", "Mul"],
    ),
    "bounded above alone": (
        [("LeakyRelu", "x", "v"), ("Clip", "v", "", "six", "c"), ("Min", "v", "c", "y")],
        ["LeakyRelu", "Clip", "Min"],
    ),
    "a computed exponent": (
        [("Pow", "x", "x", "p"), ("Sigmoid", "p", "s"), ("Mul", "x", "s", "y")],
        ["Pow", "Sigmoid", "Mul"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_activation_stays(name):
    steps, kept = OTHERS[name]
    graph = with_shapes(spelled(steps))
    apply(FuseActivation(), Edit(graph.graph))
    assert [item.op_type for item in graph.graph] == kept


def test_a_step_that_others_read_too_stays_for_them():
    proto = spelled([("Sigmoid", "x", "s"), ("Mul", "x", "s", "m"), ("Add", "m", "s", "y")])
    after = fused(proto)
    assert sorted(item.op_type for item in after.graph.node) == ["Add", "Sigmoid", "Swish"]
    assert_same_results(proto, after, 1e-5)
