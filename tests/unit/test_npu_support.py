"""Limits of the chips' operators: what each text of the grammar states, accepts and refuses."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from npu_world import CHIPS
from onnx import TensorProto, helper, numpy_helper

from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.chips.support import limit_of, refusals

SHAPE = (1, 4, 8, 8)


def node(op: str, *inputs: str, shape=SHAPE, outputs=("y",), constants=None, **attributes) -> ir.Node:
    """One operator on `x` and, by name, on other inputs: constants, or computed where nothing is given for them."""
    names = ["x", *inputs]
    constants = constants or {}
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    ports += [helper.make_tensor_value_info(n, TensorProto.INT64, [3]) for n in inputs if n and n not in constants]
    made = helper.make_node(op, names, list(outputs), op, **attributes)
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    arrays = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph([made], "g", ports, results, initializer=arrays)
    return next(iter(ir.from_proto(helper.make_model(graph, ir_version=10)).graph))


def refused(made: ir.Node, *limits: str) -> list[str]:
    return refusals(made, Support("AX1", {made.op_type: limits}))


ACCEPTED = [
    ("an attribute left at ONNX's default", node("Conv", "w"), "auto_pad=NOTSET"),
    ("an attribute without a default", node("MaxPool", kernel_shape=[2, 2]), "dilations=1"),
    ("every element of a list", node("MaxPool", kernel_shape=[2, 2], dilations=[1, 1]), "dilations=1"),
    ("another value than the one refused", node("RoiAlign", "r", "b", sampling_ratio=2), "sampling_ratio!=0"),
    ("one of several", node("LpNormalization", p=1), "p in 1|2"),
    ("a type by its name", node("Cast", to=TensorProto.FLOAT), "to in uint8|float32"),
    ("an axis counted from the front", node("LayerNormalization", "s", axis=3), "axis=-1"),
    ("output padding below the pads", node("ConvTranspose", "w", pads=[0, 0, 1, 1], output_padding=[1, 0]),
     "output_padding_h<=pads_bottom"),
    ("no output padding", node("ConvTranspose", "w"), "output_padding_w<=pads_right"),
    ("padding along the one axis there is", node("ConvTranspose", "w", shape=(1, 4, 8), output_padding=[1]),
     "output_padding_h<=pads_bottom"),
    ("a default that is written down", node("LSTM", "w", "r", input_forget=0), "input_forget:absent-yet"),
    ("an input of the rank", node("Gather", "i", constants={"i": np.array([1])}), "input.indices:rank=1"),
    ("a constant", node("Pow", "e", constants={"e": np.float32(2)}), "input.Y:initializer"),
    ("a constant of one element", node("Pow", "e", constants={"e": np.float32([2])}), "input.Y:scalar"),
    ("an input that is left out", node("Pad", "p"), "input.axes:absent"),
    ("an input without elements", node("Pad", "p", "", "a", constants={"a": np.zeros(0, np.int64)}),
     "input.axes:absent"),
    ("a slope a channel", node("PRelu", "s", constants={"s": np.zeros((4, 1, 1), np.float32)}),
     "input.slope:axis=1 if rank=4"),
    ("one slope", node("PRelu", "s", constants={"s": np.zeros(1, np.float32)}), "input.slope:axis=1 if rank=4"),
    ("a slope of another rank", node("PRelu", "s", shape=(2, 9), constants={"s": np.zeros(9, np.float32)}),
     "input.slope:axis=1 if rank=4"),
    ("a mode to which it does not matter", node("Resize", "", "s", mode="linear"),
     "nearest_mode=round_prefer_ceil if mode=nearest"),
    ("padding that is none", node("AveragePool", kernel_shape=[2, 2], pads=[0, 0, 0, 0]),
     "count_include_pad=1 if pads!=0"),
    ("padding that is not written", node("AveragePool", kernel_shape=[2, 2]), "count_include_pad=1 if pads!=0"),
    ("an output that nobody reads", node("MaxPool", kernel_shape=[2, 2], storage_order=1),
     "storage_order=0 if outputs=2"),
    ("axes that are given", node("ReduceSum", "a", noop_with_empty_axes=1),
     "noop_with_empty_axes:absent-yet if input.axes:absent"),
    ("a size without a figure", node("InstanceNormalization", "s", "b"), "size:small"),
]  # fmt: skip

REFUSED = [
    (node("Conv", "w", auto_pad="SAME_UPPER"), "auto_pad=NOTSET", "auto_pad must be NOTSET, got SAME_UPPER"),
    (node("MaxPool", dilations=[1, 2]), "dilations=1", "dilations must be 1, got 2"),
    (node("RoiAlign", "r", "b"), "sampling_ratio!=0", "sampling_ratio must not be 0, got 0"),
    (node("LpNormalization", p=3), "p in 1|2", "p must be 1 or 2, got 3"),
    (node("Cast", to=TensorProto.DOUBLE), "to in uint8|int8|float32", "to must be uint8, int8 or float32, got float64"),
    (node("LayerNormalization", "s", axis=1), "axis=-1", "axis, counted from the end, must be -1, got -3"),
    (node("ConvTranspose", "w", pads=[0, 0, 1, 0], output_padding=[1, 1]), "output_padding_w<=pads_right",
     "output_padding_w must be at most pads_right, got 1 and 0"),
    (node("ConvTranspose", "w", output_padding=[1, 0]), "output_padding_h<=pads_bottom",
     "output_padding_h must be at most pads_bottom, got 1 and 0"),
    (node("Gemm", "w", alpha=0.5), "alpha=1", "alpha must be 1, got 0.5"),
    (node("LSTM", "w", "r", clip=3.5), "clip:absent-yet", "clip must be left at its default for now, got 3.5"),
    (node("Gather", "i", constants={"i": np.array([[1]])}), "input.indices:rank=1",
     "input indices must have rank 1, got rank 2"),
    (node("Pow", "e"), "input.Y:initializer", "input Y must be a constant, got one that is computed"),
    (node("Pow", "e", constants={"e": np.zeros(3)}), "input.Y:scalar", "input Y must be a single value, got shape [3]"),
    (node("Pad", "p", "", "a"), "input.axes:absent-yet", "input axes must not be given for now, got one"),
    (node("PRelu", "s", constants={"s": np.zeros(8, np.float32)}), "input.slope:axis=1 if rank=4",
     "input slope may differ along axis 1 only where the rank is 4, got shape [8]"),
    (node("PRelu", "s", constants={"s": np.zeros((4, 8, 1), np.float32)}), "input.slope:axis=1 if rank=4",
     "input slope may differ along axis 1 only where the rank is 4, got shape [4, 8, 1]"),
    (node("Resize", "", "s"), "nearest_mode=round_prefer_ceil if mode=nearest",
     "nearest_mode must be round_prefer_ceil where mode is nearest, got round_prefer_floor"),
    (node("AveragePool", pads=[0, 1, 0, 1]), "count_include_pad=1 if pads!=0",
     "count_include_pad must be 1 where pads is not 0, got 0"),
    (node("MaxPool", outputs=("y", "z"), storage_order=1), "storage_order=0 if outputs=2",
     "storage_order must be 0 where the number of outputs read is 2, got 1"),
    (node("ReduceSum", noop_with_empty_axes=1), "noop_with_empty_axes:absent-yet if input.axes:absent",
     "noop_with_empty_axes must be left at its default for now where input axes is not given, got 1"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "limit"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_a_node_that_keeps_a_limit_is_accepted(made, limit):
    assert refused(made, limit) == []


@pytest.mark.parametrize(("made", "limit", "sentence"), REFUSED, ids=[row[2] for row in REFUSED])
def test_a_node_that_breaks_a_limit_is_told_so(made, limit, sentence):
    assert refused(made, limit) == [sentence]
    assert sentence.startswith(limit_of(limit).states)


def test_an_operator_that_a_chip_lacks_is_refused_by_name():
    where = node("Where", "a", "b")
    assert refusals(where, CHIPS["AX615"].support) == ["the NPU of AX615 has no Where"]
    assert refusals(where, CHIPS["AX650"].support) == []


def test_every_limit_that_is_broken_is_told():
    pool = node("MaxPool", auto_pad="VALID", dilations=[2, 2])
    assert refusals(pool, CHIPS["M57"].support) == ["auto_pad must be NOTSET, got VALID", "dilations must be 1, got 2"]


@pytest.mark.parametrize("text", ["axis", "axis=", "axis:gone", "a < 3", "a=1 if", "a=1 if b"])
def test_a_text_that_is_no_limit_is_refused(text):
    with pytest.raises(ValueError, match="limit"):
        limit_of(text)


@pytest.mark.parametrize("chip", sorted({chip.name for chip in CHIPS.values()}))
def test_every_limit_of_a_chip_names_what_its_operator_has(chip):
    """A misspelt attribute or input would never be checked."""
    derived = {"rank", "outputs", "size", "output_padding_h", "output_padding_w", "pads_bottom", "pads_right"}
    for op, limits in CHIPS[chip].support.operators.items():
        schema = onnx.defs.get_schema(op) if onnx.defs.has(op) else None
        known = {*schema.attributes, *(f"input.{one.name}" for one in schema.inputs)} | derived if schema else None
        for text in limits:
            assert limit_of(text).states
            names = {part.partition(":")[0].partition("!")[0].partition("=")[0].partition("<")[0].split(" in ")[0]
                     for part in text.split(" if ")}  # fmt: skip
            assert known is None or names <= known, (op, text)
