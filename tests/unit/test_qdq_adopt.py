"""QDQ models become schemes: scales, codes and zero points of their own, float32 where they say nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx import TensorProto, helper
from qdq_world import INT4, UINT4, WRITTEN, QdqNet, adopted, plain_run, written_by_onnxruntime
from quantised import Net, sqnr

from axbuild.errors import AxWarning
from axbuild.toolchain.kinds.codes import FP32, S4, S8, U8, U16, Grid
from axbuild.toolchain.quant.scheme import Form

pytestmark = pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")


def small_net() -> Net:
    """Convolutions, a depthwise one, a residual, pools, a layer: opset 21, which has QuantizeLinear for all types."""
    n = Net(1, 3, 16, 16)
    n.conv("x", "stem", 8, 3, 3, strides=[2, 2], pads=[0, 0, 1, 1])
    n.add("Relu", ["stem"], "stem_r")
    n.conv("stem_r", "deep", 8, 8, 3, pads=[1] * 4, group=8)
    n.add("Relu", ["deep"], "deep_r")
    n.conv("deep_r", "point", 8, 8)
    n.add("Add", ["stem_r", "point"], "sum")
    n.add("MaxPool", ["sum"], "most", kernel_shape=[2, 2], strides=[2, 2])
    n.add("AveragePool", ["sum"], "some", kernel_shape=[2, 2], strides=[2, 2])
    n.add("Concat", ["most", "some"], "both", axis=1)
    n.add("GlobalAveragePool", ["both"], "mean")
    n.add("Flatten", ["mean"], "flat")
    n.add("Gemm", ["flat", n.weight("w", 10, 16), n.weight("b", 10)], "y", transB=1)
    return n


@pytest.mark.parametrize("how", WRITTEN)
def test_what_onnxruntime_writes_runs_on_integers_and_answers_as_it_does_there(how):
    net = small_net()
    model = net.model("y", opset=21)
    samples = net.samples(8)
    qdq = written_by_onnxruntime(model, samples, how)
    found = adopted(qdq)
    assert {site.form for site in found.scheme.sites} == {Form.INTEGER}
    feeds = net.samples(200)
    real, theirs = (np.stack([plain_run(one, item)[0] for item in feeds]) for one in (model, qdq))
    ours = np.stack([found.run(item)[0] for item in feeds])
    assert sqnr(real, ours) > sqnr(real, theirs) - 0.3
    steps = np.abs(ours - theirs) / np.float32(found.given.writes["y"].scale)
    assert steps.max() < 2.5


def test_scales_and_zero_points_are_those_of_the_nodes():
    net = QdqNet(1, 4, 6, 6)
    weight = net.codes(6, 4, 3, 3)
    x = net.pair("x", 0.02, np.uint8(117))
    w = net.coded("w", weight, np.linspace(0.01, 0.06, 6), np.zeros(6, np.int8), axis=0)
    net.add("Conv", [x, w, net.weight("b", 6)], "c")
    net.add("Identity", [net.pair("c", 0.3, np.int8(-5))], "y")
    found = adopted(net.model("y", opset=21))
    conv = found.site("c")
    assert conv.reads == {"x": Grid(float(np.float32(0.02)), 117, U8)}
    assert list(conv.writes.values()) == [Grid(float(np.float32(0.3)), -5, S8)]
    np.testing.assert_array_equal(conv.weight.codes, weight)
    np.testing.assert_array_equal(conv.weight.scale, np.linspace(0.01, 0.06, 6).astype(np.float32))
    assert conv.weight.zero == ()


def test_the_lowest_code_of_a_weight_stays():
    net = QdqNet(1, 2, 4, 4)
    weight = np.full((3, 2, 1, 1), -128, np.int8)
    net.add("Conv", [net.pair("x"), net.coded("w", weight, 0.01, np.int8(0))], "c")
    net.add("Identity", [net.pair("c")], "y")
    assert adopted(net.model("y", opset=21)).site("c").weight.codes.min() == -128


@pytest.mark.parametrize(
    ("kind", "codes", "zero", "own_zero"),
    [(INT4, (-8, 7), 0, 0), (UINT4, (0, 15), 8, 0), (UINT4, (0, 15), 3, -5)],
    ids=["int4", "uint4", "uint4 with a zero point"],
)
def test_weights_of_four_bits_stay_so(kind, codes, zero, own_zero):
    net = QdqNet(1, 4, 6, 6)
    weight = net.codes(64, 4, 3, 3, lo=codes[0], hi=codes[1])
    scale = net.constant("s", np.full(64, 0.1, np.float32))
    inputs = [net.packed("w_q", weight, kind), scale, net.packed("w_zero", np.full(64, zero), kind)]
    net.add("DequantizeLinear", inputs, "w", axis=0)
    net.add("Conv", [net.pair("x"), "w"], "c")
    net.add("Identity", [net.pair("c", 1.0)], "y")
    model = net.model("y", opset=21)
    found = adopted(model)
    own = found.site("c").weight
    assert (own.type, own.codes.min(), own.codes.max()) == (S4, -8, 7)
    assert own.zero == ((own_zero,) * 64 if own_zero else ())
    for feeds in net.samples(3):
        assert np.abs(found.run(feeds)[0] - plain_run(model, feeds)[0]).max() < 1.1


def test_a_float_weight_behind_both_nodes_has_the_codes_that_these_make():
    net = QdqNet(1, 2, 4, 4)
    w = net.pair(net.constant("w", np.float32([[[[0.24]], [[-0.26]]], [[[9.0]], [[0.5]]]])), 0.1, np.int8(0), "w_dq")
    net.add("Conv", [net.pair("x"), w], "c")
    net.add("Identity", [net.pair("c")], "y")
    assert adopted(net.model("y", opset=21)).site("c").weight.codes.ravel().tolist() == [2, -3, 90, 5]


def test_a_tensor_without_scales_is_float32_and_the_build_says_so():
    net = QdqNet(1, 2, 4, 4)
    x = net.pair("x")
    net.add("Conv", [x, net.coded("w", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "c")
    net.add("Add", ["c", "x"], "sum")
    net.add("Conv", [net.pair("sum", 0.1), net.coded("v", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "d")
    net.add("Identity", [net.pair("d")], "y")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = adopted(net.model("y", opset=21))
    told = [str(item.message) for item in said if item.category is AxWarning]
    assert told == [
        "warning AX380: 'sum': computed in float32, since the model has no scales for what is read or written there"
    ]
    assert found.site("c").form is Form.INTEGER
    assert found.site("c").writes == {"c": FP32}
    assert found.site("sum").form is Form.ISLAND


def test_what_only_moves_is_settled_by_its_neighbours():
    net = QdqNet(1, 4, 6, 6)
    net.add("Conv", [net.pair("x"), net.coded("w", net.codes(4, 4, 1, 1), 0.01, np.int8(0))], "c")
    net.add("MaxPool", ["c"], "most", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Transpose", [net.pair("most", 0.07)], "t", perm=[0, 2, 3, 1])
    net.add("Reshape", ["t", net.constant("shape", np.array([9, 4]))], "r")
    net.add("Gemm", [net.pair("r", 0.07), net.coded("v", net.codes(4, 5), 0.01, np.int8(0))], "g")
    net.add("Identity", [net.pair("g")], "y")
    found = adopted(net.model("y", opset=21))
    grid = Grid(float(np.float32(0.07)), 128, U8)
    assert {site.form for site in found.scheme.sites} == {Form.INTEGER}
    assert [found.site(name).writes[name] for name in ("c", "most", "t", "r")] == [grid] * 4


def test_each_reader_has_the_grid_that_it_is_given():
    net = QdqNet(1, 2, 4, 4)
    net.add("Conv", [net.pair("x"), net.coded("w", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "c")
    coarse, fine = net.pair("c", 0.2, name="coarse"), net.pair("c", 0.03, name="fine")
    net.add("Conv", [coarse, net.coded("v", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "d")
    net.add("Conv", [fine, net.coded("u", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "e")
    net.add("Add", [net.pair("d"), net.pair("e")], "sum")
    net.add("Identity", [net.pair("sum")], "y")
    found = adopted(net.model("y", opset=21))
    assert found.site("c").writes == {"c": FP32}
    assert [found.site(name).reads["c"].scale for name in ("d", "e")] == [float(np.float32(s)) for s in (0.2, 0.03)]


def test_a_relu_that_the_codes_do_is_one_of_the_float_model_too():
    net = QdqNet(1, 2, 4, 4)
    net.add("Conv", [net.pair("x"), net.coded("w", net.codes(2, 2, 1, 1), 0.01, np.int8(0))], "c")
    net.add("Identity", [net.pair("c", 0.02, np.uint8(0))], "y")
    found = adopted(net.model("y", opset=21))
    (y,) = plain_run(found.optimised, net.samples(1)[0])
    assert (y.min(), y.max() <= np.float32(0.02) * 255) == (0.0, True)
    assert found.site("c").form is Form.INTEGER


def test_channels_that_the_front_end_multiplies_keep_their_codes():
    net = QdqNet(1, 3, 4, 4)
    weight = net.codes(4, 3, 3, 3)
    net.add("Conv", [net.pair("x"), net.coded("w", weight, 0.01, np.int8(0))], "c")
    gamma = np.float32([0.5, 3.0, -2.0, 1.7])
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    stats = [net.constant(n, a) for n, a in (("g", gamma), ("b", zeros), ("m", zeros), ("v", ones))]
    net.add("BatchNormalization", ["c", *stats], "n", epsilon=0.0)
    net.add("Identity", [net.pair("n", 0.3)], "y")
    own = adopted(net.model("y", opset=21)).site("c").weight
    real = own.codes * own.scale.astype(np.float64).reshape(-1, 1, 1, 1)
    wanted = weight * 0.01 * gamma.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(real, wanted, rtol=1e-5)


def test_onnxruntimes_own_operators_for_sixteen_bits_are_read_as_well():
    net = QdqNet(1, 2, 4, 4)
    net.add("Conv", [net.pair("x", 1e-3, np.uint16(30000)), net.coded("w", net.codes(2, 2, 1, 1), 0.01)], "c")
    net.add("Identity", [net.pair("c", 1e-3, np.uint16(30000))], "y")
    for node in net.nodes:
        node.domain = "com.microsoft" if node.op_type.endswith("Linear") else ""
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], net.initialisers
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    found = adopted(helper.make_model(graph, opset_imports=opsets, ir_version=9))
    assert found.site("c").reads["x"].type is U16


def test_a_bias_may_have_a_scale_below_the_normal_numbers():
    net = QdqNet(1, 4, 6, 6)
    w = net.coded("w", net.codes(2, 4, 1, 1), np.full(2, 0.01), np.zeros(2, np.int8), axis=0)
    bias = net.coded("b", np.array([100, 7], np.int32), np.array([0.0005, 1.6e-39]), np.zeros(2, np.int32), axis=0)
    net.add("Conv", [net.pair("x"), w, bias], "c")
    net.add("Identity", [net.pair("c", 0.1)], "y")
    found = adopted(net.model("y", opset=21))
    assert found.site("c").weight.bias.tolist() == [100, 0]
