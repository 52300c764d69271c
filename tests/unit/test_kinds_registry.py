"""Kinds to nodes and back, and what malformed nodes and constants say."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from bodies import kind_model
from onnx import helper
from witness.all import CASES
from witness.base import grid
from witness.mac import conv

from axbuild.codes import CODES, USER_ERROR, exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.kinds.binary import Binary
from axbuild.toolchain.kinds.border import Normalize, Quantize
from axbuild.toolchain.kinds.codes import FP32, S16, U8, U16, Grid
from axbuild.toolchain.kinds.mac import Conv
from axbuild.toolchain.kinds.registry import CLASSES, KINDS, read_node, write_node

X, Y = grid(0.02), grid(0.05)
WIDE = grid(0.001, kind=U16)


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
    first, second = conv((4, 3, 3, 3)), conv((2, 3, 1, 1), x=grid(1.0, 3))
    assert first.body().SerializeToString() == second.body().SerializeToString()


def test_functions_of_other_element_types_have_other_names():
    kinds = [Binary.of("add", a, b, y, y.type.lo, y.type.hi) for a, b, y in ((X, X, Y), (X, WIDE, Y), (X, Y, WIDE))]
    assert [kind.body().overload for kind in kinds] == ["u8_u8", "u8_u16_u8", "u8_u8_u16"]
    assert {kind.body().name for kind in kinds} == {"AxQuantizedAdd"}


def test_constants_are_named_after_the_node():
    written = write_node(conv((4, 3, 3, 3)), ["x"], ["y"], "features/0")
    assert list(written.constants) == ["features/0.weight", "features/0.bias", "features/0.multiplier"]
    assert list(written.node.input) == ["x", *written.constants]
    assert [t.name for t in written.initialisers] == list(written.constants)


def test_a_grid_travels_as_scale_zero_and_the_name_of_its_type():
    assert Quantize(Grid(0.5, -7, S16)).attributes() == {"y_scale": 0.5, "y_zero": -7, "y_type": "S16"}
    mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert Normalize(FP32, mean, std, 1).attributes()["x_type"] == "FP32"


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
    assert refusal(helper.make_node("AxUnheard", ["x"], ["y"], name="s", domain="axbuild"), {}).code == "AX456"


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


def test_every_code_of_the_kinds_is_in_the_table_with_exit_code_2():
    assert [CODES[f"AX45{i}"][0] for i in range(8)] == [USER_ERROR] * 8


def test_each_spelling_belongs_to_one_kind():
    spellings = [name for kind in CLASSES for name in kind.spellings]
    assert sorted(spellings) == sorted(KINDS)
    assert KINDS["AxQuantizedConv"] is Conv
    assert KINDS["AxQuantizedAdd"] is KINDS["AxQuantizedSub"] is Binary
