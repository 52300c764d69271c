"""Kinds to nodes and back, and what malformed nodes and constants say."""

import math
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from bodies import kind_model
from onnx import helper
from witness.all import CASES
from witness.base import grid

from axbuild.codes import CODES, USER_ERROR, exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.kinds.arithmetic import multiplier_of, multipliers_of
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.codes import FP32, INT32, S8, S16, U8, U16, Grid
from axbuild.toolchain.kinds.island import FloatClip
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.registry import CLASSES, KINDS, read_node, write_node
from axbuild.toolchain.kinds.softmax import Softmax
from axbuild.toolchain.kinds.table import ChannelTable, Table

X, Y = grid(0.02), grid(0.05)
WIDE = grid(0.001, kind=U16)


def conv(channels: int = 4, zero: int = 117) -> Conv:
    weight, bias = np.ones((channels, 3, 3, 3), np.int8), np.zeros(channels, np.int32)
    multiplier = multipliers_of(np.full(channels, 0.01), X, S8, Y)
    window = (1, 1), (0, 0, 0, 0), (1, 1), 1
    return Conv(replace(X, zero=zero), S8, Y, weight, bias, multiplier, U8.lo, U8.hi, *window)


def connected(weight: np.ndarray, bias: np.ndarray, multiplier: np.ndarray) -> FullyConnected:
    return FullyConnected(Grid(1.0, 0, U8), S8, Y, weight, bias, multiplier, U8.lo, U8.hi)


def test_a_kind_survives_the_file_read_by_either_library(tmp_path):
    for case in {case.kind.op_type: case for case in CASES}.values():
        model = kind_model(case.kind, *case.inputs())
        onnx.save(model, tmp_path / "model.onnx")
        graph = ir.load(tmp_path / "model.onnx").graph
        arrays = {name: value.const_value.numpy() for name, value in graph.initializers.items()}
        kind, activations = read_node(graph[0], arrays)
        assert activations == tuple(f"x{i}" for i in range(len(case.shapes)))
        assert type(kind) is type(case.kind)
        assert kind.attributes() == case.kind.attributes()
        for name, array in case.kind.constants().items():
            assert np.array_equal(kind.constants()[name], array)


def test_kinds_that_differ_in_constants_alone_share_one_function():
    first, second = conv(4), conv(2, zero=3)
    assert first.body().SerializeToString() == second.body().SerializeToString()


def test_functions_of_other_element_types_have_other_names():
    kinds = [Binary.of("add", a, b, y, y.type.lo, y.type.hi) for a, b, y in ((X, X, Y), (X, WIDE, Y), (X, Y, WIDE))]
    assert [kind.body().overload for kind in kinds] == ["u8_u8", "u8_u16_u8", "u8_u8_u16"]
    assert {kind.body().name for kind in kinds} == {"AxQuantizedAdd"}


def test_constants_are_named_after_the_node():
    written = write_node(conv(), ["x"], ["y"], "features/0")
    assert list(written.constants) == ["features/0.weight", "features/0.bias", "features/0.multiplier"]
    assert list(written.node.input) == ["x", *written.constants]
    assert [t.name for t in written.initialisers] == list(written.constants)


def test_a_grid_travels_as_scale_zero_and_the_name_of_its_type():
    assert Quantize(Grid(0.5, -7, S16)).attributes() == {"y_scale": 0.5, "y_zero": -7, "y_type": "S16"}
    mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert Normalize(FP32, mean, std, 1).attributes()["x_type"] == "FP32"


def written_conv():
    w = write_node(conv(), ["x"], ["y"], "c1")
    return w.node, dict(w.constants)


def refusal(node, constants) -> AxError:
    with pytest.raises(AxError) as error:
        read_node(node, constants)
    assert exit_code_of(error.value.code) == USER_ERROR
    return error.value


def test_an_unknown_operator_is_named_with_its_node():
    error = refusal(helper.make_node("Conv", ["x", "w"], ["y"], name="c7"), {})
    assert error.code == "AX456"
    assert error.sentence == "Node 'c7' is ai.onnx.Conv, which is no operator of the domain 'axbuild'."
    assert refusal(helper.make_node("AxSwish", ["x"], ["y"], name="s", domain="axbuild"), {}).code == "AX456"


def with_attribute(name, *values):
    """The Conv's node with an attribute given another value, or none."""
    node, constants = written_conv()
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for value in values)])
    return node, constants


def test_a_missing_an_unknown_and_a_mistyped_attribute_are_named():
    error = refusal(*with_attribute("group"))
    assert error.code == "AX450"
    assert error.sentence == "Node 'c1': Conv lacks the attribute 'group'."
    assert refusal(*with_attribute("fused", 1)).sentence == "Node 'c1': Conv has no attribute 'fused'."
    for name, value, wanted in (("x_zero", 1.5, "int"), ("strides", [1, 1, 1], "tuple[int, int]"), ("lo", "a", "int")):
        error = refusal(*with_attribute(name, value))
        assert error.code == "AX450"
        assert f"must be {wanted}" in error.sentence


def test_a_node_on_something_that_is_no_grid_is_refused():
    for name, value in (("x_scale", 0.0), ("x_zero", U8.hi + 1), ("x_type", "FP32")):
        assert refusal(*with_attribute(name, value)).code == "AX451"
    assert refusal(*with_attribute("x_type", "U9")).code == "AX457"


def test_missing_and_mistyped_constants_are_named():
    node, constants = written_conv()
    del constants["c1.bias"]
    assert (
        refusal(node, constants).sentence == "Node 'c1': The constant 'c1.bias' of AxQuantizedConv is no initialiser."
    )

    node, constants = written_conv()
    constants["c1.weight"] = constants["c1.weight"].astype(np.float32)
    sentence = refusal(node, constants).sentence
    assert sentence == "Node 'c1': Constant 'weight' of Conv must be int8 or int16 of rank 4, not float32 of rank 4."

    node, constants = written_conv()
    del node.input[1:]
    assert refusal(node, constants).code == "AX450"

    node, constants = written_conv()
    node.input.insert(0, "another")
    assert refusal(node, constants).sentence == "Node 'c1': AxQuantizedConv does not take 5 inputs."


ZEROS, ONES = np.zeros(3, np.float32), np.ones(3, np.float32)
RAW = Grid(1.0, 0, U8)
GOOD_CONV = conv()
GOOD_POOL = MaxPool(U8, (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), U8.lo, U8.hi)
GOOD_ADD = Binary.of("add", X, Y, WIDE, U16.lo, U16.hi)
GOOD_SOFTMAX = Softmax.of(X, Grid(float(np.float32(1 / U8.hi)), 0, U8), 1)
RISING = np.concatenate([GOOD_SOFTMAX.table[:1], np.arange(U8.span)])
NO_GRIDS = [
    Grid(0.1, 0, U8), Grid(0.0, 0, U8), Grid(math.inf, 0, U8), Grid(-0.5, 0, U8), Grid(1e-45, 0, U8),
    Grid(0.5, U8.hi + 1, U8), Grid(0.5, -1, U8), Grid(0.5, S8.hi + 1, S8), Grid(0.5, 0, INT32), Grid(0.5, 0, FP32),
]  # fmt: skip


@pytest.mark.parametrize("wrong", NO_GRIDS, ids=str)
def test_nothing_stands_on_something_that_is_no_grid(wrong):
    for make in (
        lambda: Quantize(wrong),
        lambda: Dequantize(wrong),
        lambda: replace(Requantize.of(X, Y), x=wrong),
        lambda: replace(Requantize.of(X, Y), y=wrong),
        lambda: replace(GOOD_ADD, b=wrong),
        lambda: replace(GOOD_SOFTMAX, y=wrong),
        lambda: Table("Square", X, wrong, np.zeros(U8.span + 1, np.uint8)),
    ):
        with pytest.raises(AxError) as error:
            make()
        assert error.value.code == "AX451"


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(GOOD_CONV, lo=200, hi=100),
        lambda: replace(GOOD_CONV, hi=U8.hi + 1),
        lambda: replace(GOOD_CONV, strides=(0, 1)),
        lambda: replace(GOOD_CONV, pads=(-1, 0, 0, 0)),
        lambda: replace(GOOD_CONV, dilations=(1, 0)),
        lambda: replace(GOOD_CONV, group=3),
        lambda: replace(GOOD_CONV, group=0),
        lambda: replace(GOOD_CONV, bias=np.zeros(3, np.int32)),
        lambda: replace(GOOD_CONV, bias=np.zeros(4, np.int64)),
        lambda: replace(GOOD_CONV, w=S16),
        lambda: replace(GOOD_CONV, y=INT32),
        lambda: replace(GOOD_CONV, y=FP32),
        lambda: replace(GOOD_CONV, multiplier=np.full(4, 0.1)),
        lambda: replace(GOOD_CONV, multiplier=multipliers_of(np.ones(5))),
        lambda: replace(GOOD_CONV, weight=np.zeros((4, 0, 3, 3), np.int8)),
        lambda: connected(np.zeros((2, 3), np.int8), np.zeros(2, np.int32), np.array([0.5, np.nan])),
        lambda: replace(MatMul.of(X, Y, Y, U8.lo, U8.hi), multiplier=0.1),
        lambda: replace(GOOD_ADD, a_factor=GOOD_ADD.a_factor + 1),
        lambda: replace(GOOD_ADD, b_factor=-GOOD_ADD.b_factor),
        lambda: replace(GOOD_ADD, multiplier=GOOD_ADD.multiplier * 2),
        lambda: replace(GOOD_ADD, op="sub", lo=9, hi=8),
        lambda: replace(GOOD_ADD, op="mul"),
        lambda: replace(Binary.of("div", X, Y, Y, U8.lo, U8.hi), multiplier=math.nan),
        lambda: replace(GOOD_POOL, pads=(3, 0, 0, 0)),
        lambda: replace(GOOD_POOL, kernel=(0, 3)),
        lambda: replace(GOOD_POOL, type=FP32),
        lambda: replace(Requantize.of(X, Y), multiplier=0.3),
        lambda: Requantize.of(X, Y, lo=-1),
        lambda: Normalize(FP32, ZEROS, ONES[:2], 1),
        lambda: Normalize(FP32, ZEROS, ZEROS, 1),
        lambda: Normalize(FP32, ZEROS, ONES, -1),
        lambda: Normalize(X, ZEROS, ONES, 1),
        lambda: Normalize(INT32, ZEROS, ONES, 1),
        lambda: Table("Square", X, Y, np.zeros(U8.span, np.uint8)),
        lambda: Table("Square", X, WIDE, np.zeros(U8.span + 1, np.uint8)),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span), np.uint8), 1),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.int8), 1),
        lambda: ChannelTable(RAW, Y, np.zeros((3, U8.span + 1), np.uint8), -1),
        lambda: ChannelTable(RAW, Y, np.zeros((0, U8.span + 1), np.uint8), 1),
        lambda: replace(GOOD_SOFTMAX, table=GOOD_SOFTMAX.table[:-1]),
        lambda: replace(GOOD_SOFTMAX, table=GOOD_SOFTMAX.table - 1),
        lambda: replace(GOOD_SOFTMAX, table=RISING),
        lambda: replace(GOOD_SOFTMAX, axis=-1),
        lambda: Softmax.of(X, grid(0.01, U8.hi), 1),
        lambda: FloatClip(1.0, 0.0),
        lambda: FloatClip(0.1, 1.0),
        lambda: FloatClip(math.nan, 1.0),
        lambda: Reshape(U8, (2, -1)),
        lambda: Reshape(U8, ()),
        lambda: Reshape(U8, (0, 2)),
        lambda: Transpose(U8, (0, 0)),
        lambda: Pad(U8, (0, 0, 0), "constant", 0),
        lambda: Pad(U8, (0, -1), "constant", 0),
        lambda: Pad(U8, (0, 1), "wrap", 0),
        lambda: Pad(U8, (0, 1), "constant", U8.hi + 1),
        lambda: Concat(U8, -1, 2),
        lambda: Concat(U8, 0, 0),
        lambda: Slice(U8, (0,), (1,), (0,), (0,)),
        lambda: Slice(U8, (0, 0), (1, 1), (1, 1), (1, 1)),
        lambda: Reduce.of("max", X, Y, (1,), U8.lo, U8.hi),
        lambda: Reduce.of("mean", X, Y, (-1,), U8.lo, U8.hi),
        lambda: Reduce.of("sum", X, Y, (1,), U8.lo, U8.hi, 3),
    ],
)  # fmt: skip
def test_constants_out_of_range_are_errors(make):
    with pytest.raises(AxError) as error:
        make()
    assert error.value.code == "AX451"
    assert error.value.sentence.endswith(".")


def test_grids_too_far_apart_for_8_bits_are_refused():
    far, near = Grid(2.0**30, 0, U8), Grid(2.0**-30, 0, U8)
    for make in (
        lambda: Requantize.of(far, near),
        lambda: Binary.of("add", near, far, near, U8.lo, U8.hi),
        lambda: Binary.of("mul", far, far, near, U8.lo, U8.hi),
    ):
        with pytest.raises(AxError, match="too large to requantise with") as error:
            make()
        assert error.value.code == "AX452"
    assert Requantize.of(far, Grid(2.0**-30, 0, U16)).multiplier == 2.0**60


def test_an_accumulator_that_could_overflow_is_refused_at_construction():
    half = np.full(2, multiplier_of(0.5))
    with pytest.raises(AxError, match=r"Output channel 1 of AxFullyConnected with weight \(2, 10\)") as error:
        connected(np.full((2, 10), S8.hi, np.int8), np.array([0, 2**31 - 1], np.int32), half)
    assert error.value.code == "AX453"


def test_an_average_over_too_many_codes_is_refused():
    with pytest.raises(AxError) as error:
        AveragePool.of(X, Y, np.ones((1, 1), int), U8.lo, U8.hi, (257, 257), (1, 1), (0, 0, 0, 0))
    assert error.value.code == "AX454"


def test_every_code_of_the_kinds_is_in_the_table_with_exit_code_2():
    assert [CODES[f"AX45{i}"][0] for i in range(8)] == [USER_ERROR] * 8


def test_each_spelling_belongs_to_one_kind():
    spellings = [name for kind in CLASSES for name in kind.spellings]
    assert sorted(spellings) == sorted(KINDS)
    assert KINDS["AxQuantizedConv"] is Conv
    assert KINDS["AxQuantizedAdd"] is KINDS["AxQuantizedSub"] is Binary
