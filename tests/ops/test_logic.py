"""Truth values, integers and masks in the whole way: float model, integers, oracle and simulated NPU."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from compiled import compiled
from onnx import TensorProto, helper
from quantised import Net, Quantised, float_run, loaded, quantised
from random_graphs.proof import optimized

from axbuild.toolchain.extent import extent
from axbuild.toolchain.kinds.codes import INT64
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.quant.precision import LayerConfig

WIDE, TRUTH = TensorProto.INT64, TensorProto.BOOL


def agreeing(model, samples, batches=(1, 2)) -> tuple[Quantised, list[np.ndarray]]:
    """The quantised model, and what body, oracle and simulated NPU give alike for the first sample, and for two."""
    result = quantised(model, samples)
    expected = [result.run(feeds) for feeds in samples[:2]]
    session = compiled(model, result, batches=batches)
    for feeds, found in zip(samples[:2], expected, strict=True):
        for y, body, oracle in zip(session.run(None, feeds), found, result.run_oracle(feeds), strict=True):
            assert y.dtype == body.dtype
            assert y.tobytes() == body.tobytes() == oracle.tobytes()
    together = {name: np.concatenate([feeds[name] for feeds in samples[:2]]) for name in samples[0]}
    for y, *parts in zip(session.run(None, together), *expected, strict=True):
        np.testing.assert_array_equal(y, np.concatenate(parts))
    return result, expected[0]


def tokens(count: int = 4, below: int = 3, shape: tuple[int, ...] = (1, 6)) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, below, shape) for _ in range(count)]


SHAPES = {"condition": [(2, 1, 6), (1, 6)], "a": [(1, 2, 4, 6), (4, 1)], "b": [(1, 2, 4, 6), (1,)]}


@pytest.mark.parametrize("computed", [c for n in (1, 2, 3) for c in itertools.combinations(SHAPES, n)], ids="+".join)
@pytest.mark.parametrize("small", [0, 1], ids=["of one rank", "broadcast"])
def test_where_takes_constants_on_any_side(computed, small):
    rng = np.random.default_rng(1)
    net = Net(1, 2, 4, 6)
    makers = {
        "condition": lambda: net.add("Greater", ["x", net.constant("third", np.float32(0.3))], "condition"),
        "a": lambda: "x",
        "b": lambda: net.add("Neg", ["x"], "negative"),
    }
    names = {name: makers[name]() for name in computed}
    for name, shapes in SHAPES.items():
        if name not in computed:
            array = rng.normal(0, 1, shapes[small])
            names[name] = net.constant(f"{name}_c", array > 0 if name == "condition" else array)
    net.add("Where", [names[name] for name in SHAPES], "y")
    model = net.model("y")
    samples = net.samples()
    result, (y,) = agreeing(model, samples)
    assert result.float_ops() == []
    (expected,) = float_run(model, samples[0])
    near = np.abs(samples[0]["x"] - 0.3) < 0.1  # where the grid may decide otherwise
    assert np.abs(y - expected)[~np.broadcast_to(near, y.shape)].max() <= 2 * result.scale("y")


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_the_larger_and_the_smaller_of_a_tensor_and_a_constant(op):
    net = Net(1, 3, 5)
    net.add(op, [net.constant("c", np.random.default_rng(2).normal(0, 1, (3, 1))), "x"], "y")
    model, samples = net.model("y"), net.samples()
    result, (y,) = agreeing(model, samples)
    assert np.abs(y - float_run(model, samples[0])[0]).max() <= result.scale("y") + result.scale("x")


def attention(low: float, hide: np.ndarray) -> Net:
    """Scores behind a constant mask."""
    net = Net(1, 2, 5, 5)
    net.add("Where", [net.constant("hide", hide), net.constant("low", np.float32(low)), "x"], "masked")
    net.add("Softmax", ["masked"], "y", axis=-1)
    return net


@pytest.mark.parametrize("low", [-1e4, np.finfo(np.float32).min, -np.inf])
def test_what_a_mask_hides_is_not_measured_and_has_no_share(low):
    hide = np.triu(np.ones((5, 5), bool), 1)
    net = attention(low, hide)
    model, samples = net.model("y"), net.samples()
    result, (y,) = agreeing(model, samples)
    assert "masked" not in result.statistics.tensors
    assert result.kinds() == ["AxConstant", "AxQuantizedSoftmaxWhereTrue"]
    assert np.abs(y - float_run(model, samples[0])[0]).max() < 0.02
    assert not y[..., hide].any()


def test_softmaxes_that_share_their_mask_have_one_each():
    net = attention(-np.inf, np.triu(np.ones((5, 5), bool), 1))
    net.add("Softmax", ["masked"], "z", axis=-2)
    model, samples = optimized(net.model("y", "z")), net.samples()
    result, found = agreeing(model, samples)
    assert result.kinds().count("AxQuantizedSoftmaxWhereTrue") == 2
    for y, expected in zip(found, float_run(model, samples[0]), strict=True):
        assert np.abs(y - expected).max() < 0.02


def test_a_line_that_is_hidden_whole_has_no_shares_at_all():
    hide = np.zeros((5, 5), bool)
    hide[2] = True
    net = attention(-1e9, hide)
    _, (y,) = agreeing(net.model("y"), net.samples())
    assert not y[..., 2, :].any()
    assert y[..., 1, :].sum(-1).min() > 0.9


@pytest.mark.parametrize("low", [-1e4, np.finfo(np.float32).min, -np.inf])
def test_a_softmax_in_float_takes_its_mask_along(low):
    hide = np.triu(np.ones((5, 5), bool), 1)
    net = attention(low, hide)
    model, samples = net.model("y"), net.samples()
    result = quantised(model, samples, rules=[LayerConfig(op_type="Softmax", data_type="FP32")])
    assert result.kinds() == ["AxConstant", "AxConstant", "AxWhere", "AxSoftmax"]
    (y,) = result.run(samples[0])
    np.testing.assert_allclose(y, float_run(model, samples[0])[0], rtol=3e-6, atol=1e-6)
    assert not y[..., hide].any()
    assert compiled(model, result).run(None, samples[0])[0].tobytes() == y.tobytes()


def test_a_constant_that_hides_nothing_of_a_softmax_stays_on_the_cpu():
    net = Net(1, 5)
    net.add("Where", [net.constant("c", np.arange(5) > 2), "x", net.constant("low", np.float32(-1e9))], "y")
    assert without_integer_form(loaded(net.model("y")).graph[0]) == (
        "a constant of -10000 or less may hide elements of a Softmax right behind it, and be nothing else"
    )


def test_a_mask_from_token_ids_is_made_on_the_npu():
    net = Net(1, 2, 6, 6)
    net.input("ids", 1, 6, kind=WIDE)
    net.add("Equal", ["ids", net.constant("pad", np.array(1))], "is_pad")
    net.add("Unsqueeze", ["is_pad", net.constant("axes", np.array([1, 2]))], "wide")
    net.add("Not", ["wide"], "seen")
    net.add("And", ["seen", net.constant("before", np.tril(np.ones((1, 1, 6, 6), bool)))], "shown")
    net.add("Where", ["shown", "x", net.constant("low", np.float32(-1e9))], "masked")
    net.add("Softmax", ["masked"], "y", axis=-1)
    model = net.model("y")
    samples = [net.samples(1)[0] | {"ids": ids} for ids in tokens()]
    result, (y,) = agreeing(model, samples)
    assert result.float_ops() == []
    hidden = np.broadcast_to((samples[0]["ids"] == 1)[:, None, None] | np.triu(np.ones((6, 6), bool), 1), y.shape)
    assert not y[hidden].any()


def test_whole_numbers_are_exact_and_stay_so_under_every_rule():
    net = Net(1, 6)
    net.input("ids", 1, 6, kind=WIDE)
    net.add("Min", ["ids", net.constant("m", np.array([7, -5, 3, 2, 9, 4]))], "low")
    net.add("Max", ["low", net.constant("n", np.array(-9))], "rest")
    net.add("Mul", ["rest", net.constant("k", np.array(1000))], "far")
    net.add("Sub", ["far", net.constant("t", np.array([[1], [2]]))], "less")
    net.add("Div", ["less", net.constant("d", np.array(-7))], "y")
    net.add("Cast", ["y"], "real", to=1)
    net.add("Add", ["real", "x"], "z")
    model = net.model("y", "z", y=WIDE)
    samples = [net.samples(1)[0] | {"ids": ids} for ids in tokens(below=2**31)]
    result = quantised(model, samples)
    exact = float_run(model, samples[0])[0]
    for rules in ([], [LayerConfig(start_tensor_names=("DEFAULT",), end_tensor_names=("DEFAULT",), data_type="FP32")]):
        result = quantised(model, samples, rules=rules)
        assert result.float_ops() == []
        np.testing.assert_array_equal(result.run(samples[0])[0], exact)
    np.testing.assert_array_equal(compiled(model, result).run(None, samples[0])[0], exact)
    assert {result.edges()[name] for name in ("ids", "rest", "y")} == {INT64}


def test_positions_are_counted_from_tokens():
    """As RoBERTa makes them: running numbers of what is no padding, 1 where it is."""
    net = Net(1, 6, 4)
    net.input("ids", 1, 6, kind=WIDE)
    net.add("Equal", ["ids", net.constant("pad", np.array(1))], "is_pad")
    net.add("Not", ["is_pad"], "is_token")
    net.add("Cast", ["is_token"], "ones", to=TensorProto.INT32)
    net.add("CumSum", ["ones", net.constant("axis", np.array(1))], "count")
    net.add("Mul", ["count", "ones"], "number")
    net.add("Add", ["number", net.constant("first", np.array(1, np.int32))], "places")
    net.add("Gather", [net.weight("table", 9, 4), "places"], "rows")
    net.add("Add", ["rows", "x"], "y")
    net.add("ReduceSum", ["ones", net.constant("axes", np.array([1]))], "length", keepdims=0)
    net.add("Neg", ["number"], "minus")
    net.add("Abs", ["minus"], "plus")
    whole = ("places", "length", "minus", "plus")
    model = net.model("y", *whole, **dict.fromkeys(whole, TensorProto.INT32))
    samples = [net.samples(1)[0] | {"ids": ids} for ids in tokens()]
    result, (y, *found) = agreeing(model, samples)
    expected = float_run(model, samples[0])
    assert result.float_ops() == []
    assert np.abs(y - expected[0]).max() <= 2 * result.scale("y")
    for one, wanted in zip(found, expected[1:], strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_a_running_sum_is_within_a_step_for_each_element_of_it():
    net = Net(1, 3, 7)
    net.add("CumSum", ["x", net.constant("axis", np.array(-1))], "y")
    model, samples = net.model("y"), net.samples()
    result, (y,) = agreeing(model, samples)
    steps = np.abs(y - float_run(model, samples[0])[0]) - result.scale("y")
    assert (steps <= result.scale("x") * np.arange(1, 8) / 2).all()


@pytest.mark.parametrize("largest", [0, 1])
def test_the_largest_are_given_with_their_places_and_the_first_of_equal_ones_first(largest):
    net = Net(1, 4, 9)
    net.nodes.append(
        helper.make_node("TopK", ["x", net.constant("k", np.array([3]))], ["y", "at"], "top", largest=largest)
    )
    net.add("ArgMax" if largest else "ArgMin", ["x"], "first", axis=-1, keepdims=0)
    model = net.model("y", "at", "first", at=WIDE, first=WIDE)
    samples = [{"x": np.round(feeds["x"] * 2) / 2} for feeds in net.samples()]
    result, (y, at, first) = agreeing(model, samples)
    expected = float_run(model, samples[0])
    assert np.abs(y - expected[0]).max() <= result.scale("x")
    np.testing.assert_array_equal(at, expected[1])
    np.testing.assert_array_equal(first, at[..., 0])


def test_integers_that_may_not_fit_stay_on_the_cpu_and_say_so():
    net = Net(1, 6)
    net.input("ids", 1, 6, kind=WIDE)
    net.add("Add", ["ids", net.constant("one", np.array(1))], "more")
    net.add("Min", ["ids", net.constant("top", np.array(99))], "low")
    net.add("Add", ["low", "one"], "fits")
    net.add("Sub", ["one", "low"], "does_not")
    net.add("Less", ["ids", net.constant("huge", np.array(2**40))], "small")
    net.add("Div", ["one", "low"], "by_zero")
    wide = dict.fromkeys(("more", "fits", "does_not", "by_zero"), WIDE)
    nodes = {node.name: node for node in loaded(net.model(*wide, "small", small=TRUTH, **wide)).graph}
    beyond = "its integers, constants and result alike, must provably fit 32 bits"
    assert [without_integer_form(nodes[name]) for name in ("low", "fits")] == ["", ""]
    assert [without_integer_form(nodes[name]) for name in ("more", "does_not", "small")] == [beyond] * 3
    assert without_integer_form(nodes["by_zero"]).startswith("a constant divisor must not hold 0")


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("seed", range(4))
def test_a_proved_range_holds_every_result_and_reaches_the_ends(op, seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.integers(-30, 31, 2).tolist())
    other = rng.integers(1, 12, (4, 1)) * rng.choice([-1, 1])
    net = Net(1, 61)
    net.input("i", 1, 61, kind=WIDE)
    net.add("Max", ["i", net.constant("low", np.array(low))], "raised")
    net.add("Min", ["raised", net.constant("high", np.array(high))], "a")
    net.add(op, ["a", net.constant("b", other)], "y")
    model = net.model("y", y=WIDE)
    (y,) = float_run(model, {"x": np.zeros((1, 61), np.float32), "i": np.arange(-30, 31)[None]})
    proved = extent(loaded(model).graph[-1].outputs[0])
    assert proved == (y.min(), y.max())
