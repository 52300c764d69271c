"""Scales a channel in front of depthwise convolutions become one scale, and every code stays what it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from qdq_world import Adopted, QdqNet, adopted, placed, plain_run

from axbuild.toolchain.kinds.codes import U8, Grid
from axbuild.toolchain.qdq.linear import QdqError
from axbuild.toolchain.qdq.separate import SeparateParams, separate
from axbuild.toolchain.quant.scheme import Form

pytestmark = pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")

SCALES = np.array([0.004, 0.02, 0.0075, 0.023], np.float32)
"""255 steps of the largest end at 5.9, within a Relu6"""
BETWEEN = {"nothing": "", "Relu": "Relu", "Clip": "Clip", "HardSwish": "HardSwish"}


class DepthwiseNet(QdqNet):
    """x -> Conv -> `between` -> Q, DQ with a scale a channel -> depthwise Conv -> y, all on codes."""

    def __init__(self, between: str, zero: object = np.uint8(0), scales: np.ndarray = SCALES) -> None:
        super().__init__(1, 4, 8, 8)
        weight = self.coded("w", self.codes(4, 4, 1, 1), np.full(4, 0.01), np.zeros(4, np.int8), axis=0)
        made = self.add("Conv", [self.pair("x"), weight, self.weight("b", 4)], "c")
        if between:
            ends = [self.constant("lo", np.float32(0)), self.constant("hi", np.float32(6))]
            made = self.add(between, [made, *(ends if between == "Clip" else ())], "a")
        self.made, self.zeros = made, np.broadcast_to(np.asarray(zero), 4)
        self.deep = self.codes(4, 1, 3, 3)
        read = self.channels(made, "even", scales)
        deep = self.coded("v", self.deep, np.linspace(0.01, 0.03, 4), np.zeros(4, np.int8), axis=0)
        self.add("Conv", [read, deep, self.weight("d", 4)], "z", group=4, pads=[1] * 4)

    def channels(self, x: str, name: str, scales: np.ndarray) -> str:
        self.linear("QuantizeLinear", x, f"{name}_q", scales, self.zeros, axis=1)
        return self.linear("DequantizeLinear", f"{name}_q", name, scales, self.zeros, axis=1)

    def ended(self, last: str = "z", *, outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
        self.pair(last, 0.3, name="y")
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, ports, self.initialisers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    def require_answers(self, found: Adopted, model: onnx.ModelProto) -> None:
        """Within a step of the output, of which most elements are equal."""
        apart = [
            np.abs(found.run(item)[0] - plain_run(model, item)[0]) / np.float32(found.given.writes["y"].scale)
            for item in self.samples(20)
        ]
        assert np.max(apart) < 1.5
        assert np.mean(np.array(apart) < 0.5) > 0.99


@pytest.mark.parametrize("between", BETWEEN)
def test_a_scale_a_channel_is_one_for_all_and_the_codes_answer_as_before(between):
    zero = np.int8(0) if between in ("nothing", "HardSwish") else np.uint8(0)
    net = DepthwiseNet(BETWEEN[between], zero)
    model = net.ended()
    found = adopted(model)
    deep = found.site("z")
    (read,) = (edge for edge in deep.reads.values() if isinstance(edge, Grid))
    assert (read.scale, read.zero) == (float(SCALES.max()), 0)
    assert np.array_equal(deep.weight.codes, net.deep)
    assert deep.form is Form.INTEGER
    net.require_answers(found, model)


@pytest.mark.parametrize("between", ["nothing", "Relu", "Clip"])
def test_factors_go_into_the_convolution_that_makes_the_tensor(between):
    net = DepthwiseNet(BETWEEN[between], np.int8(0) if between == "nothing" else np.uint8(0))
    found = adopted(net.ended())
    made = found.site("c")
    assert {site.form for site in found.scheme.sites} == {Form.INTEGER}
    assert made.weight.scale == pytest.approx(0.01 * SCALES.max() / SCALES, rel=1e-6)
    assert "Mul" not in {node.op_type for node in found.optimised.graph.node}


def test_a_clip_that_ends_below_the_codes_is_no_clip_of_another_size_a_channel():
    net = DepthwiseNet("Clip", scales=SCALES * 2)
    model = net.ended()
    found = adopted(model)
    assert found.site("c").weight.scale == pytest.approx(0.01)
    assert found.site("a").nodes == ("a",), "an operator of its own, and the factors one behind it"
    net.require_answers(found, model)


def test_a_weight_that_is_no_codes_is_divided_itself():
    net = DepthwiseNet("Relu")
    deep = next(node for node in net.nodes if node.name == "z")
    deep.input[1] = net.weight("real", 4, 1, 3, 3)
    found = adopted(net.ended())
    weight = found.site("z").weight
    assert (weight.codes.dtype, weight.scale.size) == (np.int8, 4)


def test_the_user_reads_the_tensor_as_it_was():
    net = DepthwiseNet("Relu")
    model = net.ended(outputs=("y", "a"))
    found = adopted(model)
    for item in net.samples(5):
        theirs = plain_run(model, item)[1]
        assert found.run(item)[1] == pytest.approx(theirs, abs=0.05)


def test_another_reader_reads_the_tensor_as_it_was():
    net = DepthwiseNet("Relu")
    net.add("Add", ["z", net.pair("a", 0.02, np.uint8(0), "again")], "s")
    model = net.ended("s")
    net.require_answers(adopted(model), model)


@pytest.mark.parametrize("broken", ["zeros that differ", "a convolution over channels"])
def test_what_one_grid_cannot_hold_is_refused_in_a_sentence(tmp_path: Path, broken):
    net = DepthwiseNet("Relu", np.array([0, 1, 0, 0], np.uint8) if broken == "zeros that differ" else np.uint8(0))
    if broken != "zeros that differ":
        net.add("Conv", ["even", net.weight("full", 4, 4, 1, 1)], "f")
    with pytest.raises(QdqError, match="has 4 scales for a tensor that is no constant") as error:
        separate(placed(net.ended(), tmp_path / "m"), tmp_path, params=SeparateParams())
    assert "in front of depthwise convolutions, with one zero point for all" in error.value.hint


def test_a_convolution_between_two_such_tensors_takes_and_gives_factors():
    net = DepthwiseNet("Relu")
    net.add("Relu", ["z"], "za")
    net.zeros = np.zeros(4, np.uint8)
    read = net.channels("za", "next", SCALES[::-1] * 3)
    weight = net.coded("u", net.codes(4, 1, 1, 1), 0.02, np.int8(0))
    net.add("Conv", [read, weight], "zz", group=4)
    model = net.ended("zz")
    found = adopted(model)
    expected = np.linspace(0.01, 0.03, 4) * (SCALES / SCALES.max()) * (SCALES.max() / SCALES[::-1])
    assert found.site("z").weight.scale == pytest.approx(expected, rel=1e-5)
    assert found.site("z").weight.type.name == "S8"
    assert isinstance(found.given.writes["za"], Grid)
    assert found.given.writes["za"].type == U8
    net.require_answers(found, model)
