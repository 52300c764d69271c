"""Operators that a layer rule asks for in FP32: on the NPU as float32, or on the CPU with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from compiled import compiled
from onnx import TensorProto, helper
from quantised import Net, float_run, quantised

from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.kinds.float_function import FORMULAS
from axbuild.toolchain.ops.registry import all_ops
from axbuild.toolchain.quant.precision import LayerConfig

SHAPE = (1, 4, 6, 5)
ALL = [LayerConfig(start_tensor_names=("DEFAULT",), end_tensor_names=("DEFAULT",), data_type="FP32")]


def one(op: str, *constants, before=(), shape=SHAPE, **attributes) -> Net:
    """A node of x and constants; before: constants in front of x."""
    net = Net(*shape)
    front = [net.constant(f"f{i}", np.asarray(array)) for i, array in enumerate(before)]
    behind = [net.constant(f"c{i}", np.asarray(array)) for i, array in enumerate(constants)]
    net.add(op, [*front, "x", *behind], "y", **attributes)
    return net


def positive(op: str, *constants) -> Net:
    net = Net(*SHAPE)
    net.add("Abs", ["x"], "a")
    net.add(op, ["a", *(net.constant(f"c{i}", array) for i, array in enumerate(constants))], "y")
    return net


NORMAL = np.random.default_rng(5).normal(1, 0.3, (2, 5)).astype(np.float32)
ANGLES = np.random.default_rng(6).uniform(-1, 1, (2, 1, 6, 4)).astype(np.float32)
CHANNELS = np.array([0.5, -2.0, 3.0, 0.25], np.float32).reshape(4, 1, 1)
APART = ("Gelu", "GeluByTanh", "InverseSigmoid", "Pow", "Sqrt")
"""that need a domain, an attribute or a constant"""
ACTIVATIONS = {name: one(name) for name in FORMULAS if name not in APART}
OTHERS = {
    "Sqrt": positive("Sqrt"),
    "Pow of a positive": positive("Pow", np.float32(-1.7)),
    "Pow": one("Pow", np.float32(3)),
    "Resize": one("Resize", np.float32([]), np.float32([1, 1, 2, 3]), mode="linear"),
    "Resize to a size": one("Resize", np.float32([]), np.float32([]), np.array([1, 4, 9, 7]), mode="linear"),
    "Resize to the nearest": one("Resize", np.float32([]), np.float32([1, 1, 2, 3]), mode="nearest"),
    "CumSum": one("CumSum", np.array(2), reverse=1),
    "RotaryEmbedding": one("RotaryEmbedding", ANGLES[0], ANGLES[1], shape=(1, 4, 6, 8)),
    "RotaryEmbedding of rank 3": one("RotaryEmbedding", ANGLES[0], ANGLES[1], num_heads=2, shape=(1, 6, 16)),
    "LogSoftmax": one("LogSoftmax", axis=1),
    "MaxPool": one("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "MaxPool that is dilated": one("MaxPool", kernel_shape=[2, 2], dilations=[3, 2], ceil_mode=1, strides=[2, 2]),
    "AveragePool": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "AveragePool of padding": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "Gelu": one("Gelu"),
    "Gelu by tanh": one("Gelu", approximate="tanh"),
    "Elu with alpha": one("Elu", alpha=0.5),
    "HardSigmoid with both": one("HardSigmoid", alpha=0.3, beta=0.4),
    "LeakyRelu with alpha": one("LeakyRelu", alpha=0.2),
    "Swish with alpha": one("Swish", alpha=1.7),
    "Relu": one("Relu"),
    "Clip": one("Clip", np.float32(-0.5), np.float32(1)),
    "Softmax": one("Softmax", axis=1),
    "Softmax of rows": one("Softmax", axis=-1),
    "PRelu": one("PRelu", CHANNELS),
    "Conv of channels": one("Conv", CHANNELS[:, None], CHANNELS.ravel(), group=4, kernel_shape=[1, 1]),
    "Conv without a bias": one("Conv", CHANNELS[:, None], group=4, kernel_shape=[1, 1]),
    "Max": one("Max", CHANNELS),
    "Min": one("Min", before=[CHANNELS]),
    "Where": one("Where", CHANNELS, before=[CHANNELS > 0]),
    "Where of nothing": one("Where", np.float32(-1e9), before=[CHANNELS > 0]),
    "PRelu of a steep slope": one("PRelu", 1e5 * CHANNELS),
    "Where of a constant": one("Where", before=[CHANNELS > 0, CHANNELS]),
    "Add": one("Add", CHANNELS),
    "Sub": one("Sub", CHANNELS),
    "Sub from": one("Sub", before=[CHANNELS]),
    "Mul": one("Mul", CHANNELS),
    "Div": one("Div", CHANNELS),
    "Div of": one("Div", before=[np.float32(3)]),
    "ReduceMean": one("ReduceMean", np.array([1, 3])),
    "ReduceMean of rank 3": one("ReduceMean", np.array([-1]), keepdims=0),
    "ReduceSum": one("ReduceSum", np.array([2])),
    "ReduceMax": one("ReduceMax", np.array([1]), keepdims=0),
    "ReduceMin": one("ReduceMin", np.array([3])),
    "ReduceL2": one("ReduceL2", np.array([1])),
    "GlobalAveragePool": one("GlobalAveragePool"),
    "GlobalMaxPool": one("GlobalMaxPool"),
    "LayerNormalization": one("LayerNormalization", NORMAL[0], NORMAL[1], axis=-1),
    "LayerNormalization of two axes": one("LayerNormalization", np.ones((6, 5), np.float32), axis=2, epsilon=0.1),
    "RMSNormalization": one("RMSNormalization", NORMAL[0], axis=-1),
    "LpNormalization": one("LpNormalization", axis=-1),
    "Slice": one("Slice", np.array([1]), np.array([6]), np.array([2]), np.array([2])),
    "Gather": one("Gather", np.array([3, 0, 3]), axis=1),
    "Expand": one("Expand", np.array([2, 4, 6, 5])),
    "Tile": one("Tile", np.array([1, 2, 1, 2])),
    "Pad": one("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2])),
    "DepthToSpace": one("DepthToSpace", blocksize=2, mode="CRD"),
    "Transpose": one("Transpose", perm=[0, 2, 3, 1]),
    "Reshape": one("Reshape", np.array([1, 24, 5])),
}


@pytest.mark.parametrize("name", {**ACTIVATIONS, **OTHERS})
def test_an_operator_in_fp32_is_float32_on_the_npu(name):
    net = {**ACTIVATIONS, **OTHERS}[name]
    model, (feeds, *_) = net.model("y"), net.samples(1)
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == []
    assert not [edge for edge in result.edges().values() if isinstance(edge, Grid)]
    (found,) = result.run(feeds)
    np.testing.assert_allclose(found, float_run(model, feeds)[0], rtol=3e-6, atol=1e-6)
    for level in ("optimisation off", "optimisation on"):
        assert result.run(feeds, level)[0].tobytes() == found.tobytes()
    assert compiled(model, result).run(None, feeds)[0].tobytes() == found.tobytes()


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "Min"])
def test_two_computed_operands_in_fp32(op):
    net = Net(*SHAPE)
    net.input("b", 4, 1, 5)
    net.add(op, ["x", "b"], "y")
    model, (feeds, *_) = net.model("y"), net.samples(1)
    result = quantised(model, [feeds], rules=ALL)
    assert result.run(feeds)[0].tobytes() == float_run(model, feeds)[0].tobytes()
    assert compiled(model, result).run(None, feeds)[0].tobytes() == result.run(feeds)[0].tobytes()


def test_a_split_in_fp32_hands_on_all_its_parts():
    net = Net(*SHAPE)
    net.add("Relu", ["x"], "r")
    net.nodes.append(helper.make_node("Split", ["r"], ["y", "z"], name="s", axis=1, num_outputs=2))
    model, (feeds, *_) = net.model("y", "z"), net.samples(1)
    result = quantised(model, [feeds], rules=ALL)
    assert [y.tobytes() for y in result.run(feeds)] == [y.tobytes() for y in float_run(model, feeds)]


@pytest.mark.parametrize(
    ("op", "constants"), [("Gemm", [np.ones((5, 3), np.float32)]), ("MatMul", [np.ones((5, 3), np.float32)])]
)
def test_what_has_no_float32_form_is_on_the_cpu_because_the_user_asked(op, constants):
    net = Net(4, 5)
    net.add(op, ["x", *(net.constant(f"c{i}", array) for i, array in enumerate(constants))], "y")
    model, (feeds, *_) = net.model("y"), net.samples(1)
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == [op]
    (site,) = result.scheme.sites
    assert site.reason == f"FP32 is asked for, which the NPU does not do for {op}; U16 it does"


@pytest.mark.parametrize("op", ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("first", [False, True])
def test_a_comparison_with_a_constant_in_fp32_is_the_float_models(op, first):
    limit = np.array([0.25, -0.5, 0.0, 1.0], np.float32).reshape(4, 1, 1)
    net = one(op, before=[limit]) if first else one(op, limit)
    model, (feeds, *_) = net.model("y", y=TensorProto.BOOL), net.samples(1)
    feeds["x"][0, :, 0] = limit[:, 0]
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == []
    np.testing.assert_array_equal(result.run(feeds)[0], float_run(model, feeds)[0])
    np.testing.assert_array_equal(compiled(model, result).run(None, feeds)[0], float_run(model, feeds)[0])


@pytest.mark.parametrize("largest", [0, 1])
def test_the_first_of_a_sorted_axis_in_fp32_are_the_float_models(largest):
    net = Net(*SHAPE)
    count = net.constant("k", np.array([3]))
    net.nodes.append(helper.make_node("TopK", ["x", count], ["y", "at"], name="t", axis=1, largest=largest))
    net.add("ArgMax" if largest else "ArgMin", ["x"], "first", axis=2, keepdims=0)
    model, (feeds, *_) = net.model("y", "at", "first", at=TensorProto.INT64, first=TensorProto.INT64), net.samples(1)
    feeds["x"][0, 1] = feeds["x"][0, 2]
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == []
    found, expected = result.run(feeds), float_run(model, feeds)
    assert [array.tobytes() for array in found] == [array.tobytes() for array in expected]
    for given, array in zip(compiled(model, result).run(None, feeds), expected, strict=True):
        np.testing.assert_array_equal(given, array)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_pixels_at_coordinates_in_fp32(mode):
    net = Net(*SHAPE)
    net.input("at", 1, 3, 7, 2)
    net.add("GridSample", ["x", "at"], "y", mode=mode, padding_mode="border")
    model, (feeds, *_) = net.model("y"), net.samples(1)
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == []
    (found,) = result.run(feeds)
    np.testing.assert_allclose(found, float_run(model, feeds)[0], atol=2e-5)
    assert compiled(model, result).run(None, feeds)[0].tobytes() == found.tobytes()


def test_rows_of_a_table_in_fp32_are_its_own():
    net = Net(1, 2, 4)
    net.input("ids", 1, 2, kind=TensorProto.INT64)
    net.add("Gather", [net.weight("table", 9, 4), "ids"], "rows")
    net.add("Add", ["rows", "x"], "y")
    model = net.model("y")
    feeds = net.samples(1)[0] | {"ids": np.array([[3, -1]])}
    result = quantised(model, [feeds], rules=ALL)
    assert result.float_ops() == []
    assert result.run(feeds)[0].tobytes() == float_run(model, feeds)[0].tobytes()
    assert compiled(model, result).run(None, feeds)[0].tobytes() == float_run(model, feeds)[0].tobytes()


def test_every_operator_that_does_not_multiply_and_accumulate_reals_has_a_float32_form():
    products = {name for name, op in all_ops().items() if op.accumulates}
    assert {name for name, op in all_ops().items() if not (op.moves or op.reals_too)} == products | {
        "And",
        "Not",
        "RoiAlign",  # in float32 it runs on the CPU, which the page of operators says
        "Xor",
    }
