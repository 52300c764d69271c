"""Kinds to nodes and back, and what malformed nodes and constants say."""

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from bodies import kind_model
from kind_cases import CASES, conv
from onnx import helper

from axbuild.codes import CODES, USER_ERROR, exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.kinds.arithmetic import multipliers_of, softmax_table
from axbuild.toolchain.kinds.binary import Add
from axbuild.toolchain.kinds.border import Dequantize, Normalize, Quantize, Requantize
from axbuild.toolchain.kinds.mac import Conv, FullyConnected, MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Transpose
from axbuild.toolchain.kinds.pool import AveragePool, MaxPool
from axbuild.toolchain.kinds.registry import KINDS, read_node, write_node
from axbuild.toolchain.kinds.table import ChannelTable, Softmax


def same_kind(a, b) -> bool:
    fields = dataclasses.fields(a)
    return type(a) is type(b) and all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_kind_survives_the_node_and_the_file(case, tmp_path):
    model = kind_model(case.kind, *case.inputs())
    onnx.save(model, tmp_path / "model.onnx")
    names = tuple(f"x{i}" for i in range(len(case.shapes)))

    loaded = onnx.load(tmp_path / "model.onnx")
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in loaded.graph.initializer}
    kind, activations = read_node(loaded.graph.node[0], arrays)
    assert activations == names
    assert same_kind(kind, case.kind)

    graph = ir.load(tmp_path / "model.onnx").graph
    arrays = {name: value.const_value.numpy() for name, value in graph.initializers.items()}
    kind, activations = read_node(graph[0], arrays)
    assert activations == names
    assert same_kind(kind, case.kind)


def test_equal_kinds_share_one_function():
    first, second = conv((4, 3, 3, 3)), conv((2, 3, 1, 1), x_zero=3)
    assert first.body().SerializeToString() == second.body().SerializeToString()


def test_constants_are_named_after_the_node():
    written = write_node(conv((4, 3, 3, 3)), ["x"], ["y"], "features/0")
    assert list(written.constants) == ["features/0.weight", "features/0.bias", "features/0.multiplier"]
    assert list(written.node.input) == ["x", *written.constants]
    assert [t.name for t in written.initialisers] == list(written.constants)


def written_conv():
    w = write_node(conv((4, 3, 3, 3)), ["x"], ["y"], "c1")
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


def test_a_missing_an_unknown_and_a_mistyped_attribute_are_named():
    node, constants = written_conv()
    kept = [a for a in node.attribute if a.name != "group"]
    del node.attribute[:]
    node.attribute.extend(kept)
    error = refusal(node, constants)
    assert error.code == "AX450"
    assert error.sentence == "Node 'c1': AxQuantizedConv lacks the attribute 'group'."

    node, constants = written_conv()
    node.attribute.append(helper.make_attribute("fused", 1))
    assert refusal(node, constants).sentence == "Node 'c1': AxQuantizedConv has no attribute 'fused'."

    for name, value, wanted in (("x_zero", 1.5, "int"), ("strides", [1, 1, 1], "tuple[int, int]"), ("lo", "a", "int")):
        node, constants = written_conv()
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
        error = refusal(node, constants)
        assert error.code == "AX450"
        assert f"Attribute '{name}' of AxQuantizedConv must be {wanted}" in error.sentence


def test_missing_and_mistyped_constants_are_named():
    node, constants = written_conv()
    del constants["c1.bias"]
    assert (
        refusal(node, constants).sentence == "Node 'c1': The constant 'c1.bias' of AxQuantizedConv is no initialiser."
    )

    node, constants = written_conv()
    constants["c1.weight"] = constants["c1.weight"].astype(np.float32)
    sentence = refusal(node, constants).sentence
    assert sentence == "Node 'c1': Constant 'weight' of AxQuantizedConv must be int8 of rank 4, not float32 of rank 4."

    node, constants = written_conv()
    del node.input[1:]
    assert refusal(node, constants).code == "AX450"

    node, constants = written_conv()
    node.input.insert(0, "another")
    assert refusal(node, constants).sentence == "Node 'c1': AxQuantizedConv does not take 5 inputs."


ZEROS, ONES = np.zeros(3, np.float32), np.ones(3, np.float32)
GOOD_CONV = conv((4, 3, 3, 3))
GOOD_POOL = MaxPool((3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 0, 255)
RISING = np.concatenate([[2**24], np.arange(255)])


@pytest.mark.parametrize(
    "make",
    [
        lambda: dataclasses.replace(GOOD_CONV, x_zero=256),
        lambda: dataclasses.replace(GOOD_CONV, y_zero=-1),
        lambda: dataclasses.replace(GOOD_CONV, lo=200, hi=100),
        lambda: dataclasses.replace(GOOD_CONV, hi=256),
        lambda: dataclasses.replace(GOOD_CONV, strides=(0, 1)),
        lambda: dataclasses.replace(GOOD_CONV, pads=(-1, 0, 0, 0)),
        lambda: dataclasses.replace(GOOD_CONV, dilations=(1, 0)),
        lambda: dataclasses.replace(GOOD_CONV, group=3),
        lambda: dataclasses.replace(GOOD_CONV, group=0),
        lambda: dataclasses.replace(GOOD_CONV, bias=np.zeros(3, np.int32)),
        lambda: dataclasses.replace(GOOD_CONV, multiplier=np.full(4, 0.1)),
        lambda: dataclasses.replace(GOOD_CONV, multiplier=multipliers_of(np.ones(5))),
        lambda: dataclasses.replace(GOOD_CONV, weight=np.zeros((4, 0, 3, 3), np.int8)),
        lambda: FullyConnected(np.zeros((2, 3), np.int8), np.zeros(2, np.int32), np.array([0.5, np.nan]), 0, 0, 0, 255),
        lambda: MatMul(0.1, 0, 0, 0, 0, 255),
        lambda: MatMul(0.5, 0, 300, 0, 0, 255),
        lambda: Add(0, 0, 0, 1, 1, 0, 0, 255),
        lambda: Add(0, 0, 0, 1, 1, 53, 0, 255),
        lambda: Add(0, 0, 0, 2**22 + 1, 1, 9, 0, 255),
        lambda: Add(0, 0, 0, 1, -1, 9, 0, 255),
        lambda: dataclasses.replace(GOOD_POOL, pads=(3, 0, 0, 0)),
        lambda: dataclasses.replace(GOOD_POOL, kernel=(0, 3)),
        lambda: Quantize(0.1, 0),
        lambda: Quantize(0.0, 0),
        lambda: Quantize(float("inf"), 0),
        lambda: Dequantize(1e-45, 0),
        lambda: Dequantize(0.5, 256),
        lambda: Requantize(0.3, 0, 0, 0, 255),
        lambda: Normalize(ZEROS, ONES[:2], 1),
        lambda: Normalize(ZEROS, ZEROS, 1),
        lambda: Normalize(ZEROS, ONES, -1),
        lambda: ChannelTable(np.zeros((3, 255), np.uint8), 1),
        lambda: Softmax(softmax_table(0.1)[:255], 1),
        lambda: Softmax(softmax_table(0.1) - 1, 1),
        lambda: Softmax(RISING, 1),
        lambda: Reshape((2, -1)),
        lambda: Reshape(()),
        lambda: Reshape((0, 2)),
        lambda: Reshape((2, 2), "int32"),
        lambda: Transpose((0, 0)),
        lambda: Pad((0, 0, 0), "constant", 0),
        lambda: Pad((0, -1), "constant", 0),
        lambda: Pad((0, 1), "wrap", 0),
        lambda: Pad((0, 1), "constant", 256),
        lambda: Concat(-1, 2),
        lambda: Concat(0, 0),
    ],
)
def test_constants_out_of_range_are_errors(make):
    with pytest.raises(AxError) as error:
        make()
    assert error.value.code == "AX451"
    assert error.value.sentence.endswith(".")


def test_an_accumulator_that_could_overflow_is_refused_at_construction():
    with pytest.raises(AxError, match=r"Output channel 1 of AxFullyConnected with weight \(2, 10\)") as error:
        FullyConnected(
            np.full((2, 10), 127, np.int8), np.array([0, 2**31 - 1], np.int32), np.array([0.5, 0.5]), 0, 0, 0, 255
        )
    assert error.value.code == "AX453"


def test_an_average_over_too_many_codes_is_refused():
    with pytest.raises(AxError) as error:
        AveragePool(multipliers_of(np.ones((1, 1))), 0, 0, 0, 255, (257, 257), (1, 1), (0, 0, 0, 0))
    assert error.value.code == "AX454"


def test_a_kernel_beyond_what_halved_weights_can_sum_is_refused():
    kind = conv((1, 1, 70, 70), x_zero=0, fill=127)
    with pytest.raises(AxError, match="single input channel") as error:
        kind.body()
    assert error.value.code == "AX454"


def test_every_code_of_the_kinds_is_in_the_table_with_exit_code_2():
    assert [CODES[f"AX45{i}"][0] for i in range(7)] == [USER_ERROR] * 7


def test_op_types_are_unique_and_stand_under_their_own_name():
    assert all(kind.op_type == name for name, kind in KINDS.items())
    assert len(KINDS) == 17
    assert issubclass(KINDS["AxQuantizedConv"], Conv)
