"""Which tensors share a grid, which clamp into their producer, what stays by itself, and on what each is read."""

import math

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, numpy_helper
from quantised import Net, float_run, loaded, quantised, sqnr

from axbuild.toolchain.kinds.codes import FP32, INT64, S16, U8, U16, Grid, type_of
from axbuild.toolchain.likeness import cosine_of
from axbuild.toolchain.ops.base import Bounds
from axbuild.toolchain.ops.fused import fused_nodes, without_integer_form
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated
from axbuild.toolchain.quant.exact import ExactSum
from axbuild.toolchain.quant.histogram import Histogram
from axbuild.toolchain.quant.precision import LayerConfig
from axbuild.toolchain.quant.ranges import Range, grid_of
from axbuild.toolchain.quant.scheme import Form
from axbuild.toolchain.quant.statistics import Observed, Statistics, TensorStatistics

WHOLE = {"start_tensor_names": ("DEFAULT",), "end_tensor_names": ("DEFAULT",)}


def shape_of_sites(model) -> list[list[str]]:
    return [[node.name for node in fused.nodes] for fused in fused_nodes(loaded(model).graph)]


def statistics_of(ranges) -> Statistics:
    tensors = {}
    for name, ends in ranges.items():
        low, high = (np.array([end], np.float32) for end in ends)
        whole = Observed(float(low[0]), float(high[0]), Histogram.of(np.concatenate([low, high])))
        tensors[name] = TensorStatistics(whole, low, high, ExactSum())
    return Statistics(1, tensors)


class SettledScheme:
    """A scheme chosen from ranges alone, asked by tensor."""

    def __init__(self, model, *rules: LayerConfig, **ranges: tuple[float, float]) -> None:
        self.scheme = calibrated(
            loaded(model).graph, statistics_of(ranges), CalibrateParams(layer_configs=tuple(rules))
        )
        self.writes = {name: edge for site in self.scheme.sites for name, edge in site.writes.items()}

    def reads(self, node: str, tensor: str):
        return next(site.reads[tensor] for site in self.scheme.sites if site.nodes[0] == node)

    def forms(self) -> dict[str, Form]:
        return {site.nodes[0]: site.form for site in self.scheme.sites}


def u8(lo: float, hi: float) -> Grid:
    return grid_of(Range(lo, hi), U8)


def test_relu_and_clip_go_into_the_clamp_of_their_producer():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Relu", ["c"], "r")
    n.add("Clip", ["r", n.constant("lo", -1.0), n.constant("hi", 6.0)], "k")
    model = n.model("k")
    (site,) = fused_nodes(loaded(model).graph)
    assert [node.name for node in site.nodes] == ["c", "r", "k"]
    assert site.bounds == Bounds(0.0, 6.0)


def test_bounds_that_cross_take_the_upper_one_as_onnx_does():
    assert Bounds(0.0, math.inf).then(Bounds(-3.0, -1.0)) == Bounds(-1.0, -1.0)


def test_a_relu_stays_by_itself_where_somebody_else_reads_its_input():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 3, 3)
    n.add("Relu", ["c"], "r")
    n.add("Add", ["c", "r"], "y")
    assert shape_of_sites(n.model("y")) == [["c"], ["r"], ["y"]]
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxQuantizedConv", "AxRequantizeLinear", "AxQuantizedAdd"]


def test_a_relu_stays_by_itself_where_its_input_is_an_output_of_the_model():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 3, 3)
    n.add("Relu", ["c"], "r")
    assert shape_of_sites(n.model("c", "r")) == [["c"], ["r"]]


def test_a_relu_behind_an_op_that_cannot_clamp_is_a_requantise():
    n = Net(1, 4)
    n.add("Transpose", ["x"], "t", perm=[1, 0])
    n.add("Relu", ["t"], "y")
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxTranspose", "AxRequantizeLinear"]
    kind = result.kind("y")
    assert kind.lo == kind.y.zero == 0


def test_constant_adds_become_bias_until_something_clamps():
    n = Net(1, 6)
    n.add("MatMul", ["x", n.weight("w", 6, 4)], "m")
    n.add("Add", ["m", n.weight("b1", 4)], "a1")
    n.add("Add", [n.constant("b2", [[0.5]]), "a1"], "a2")
    n.add("Relu", ["a2"], "r")
    model = n.model("r")
    (site,) = fused_nodes(loaded(model).graph)
    assert [node.name for node in site.nodes] == ["m", "a1", "a2", "r"]
    b1 = next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == "b1")
    assert site.addend.tolist() == [float(b) + 0.5 for b in b1]


def test_an_add_behind_a_relu_is_not_its_bias():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Relu", ["c"], "r")
    n.add("Add", ["r", n.weight("b", 1, 4, 1, 1)], "y")
    assert shape_of_sites(n.model("y")) == [["c", "r"], ["y"]]
    assert quantised(n.model("y"), n.samples()).kinds() == ["AxQuantizedConv", "AxQuantizedAddConstant"]


def test_a_table_of_several_operators_rounds_once():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("HardSwish", ["c"], "h")
    n.add("Mul", ["h", n.constant("k", [0.5])], "m")
    n.add("Add", ["m", n.constant("b", [[[[-0.25]]]])], "a")
    n.add("Relu", ["a"], "y")
    model = n.model("y")
    assert shape_of_sites(model) == [["c", "h", "m", "a", "y"]]
    result = quantised(model, n.samples())
    assert result.kinds() == ["AxQuantizedConv", "AxTable"]
    kind = result.kind("h")
    x = np.arange(kind.x.type.lo, kind.x.type.hi + 1) * np.float64(kind.x.scale)
    reals = np.maximum(x * np.clip(x + 3, 0, 6) / 6 * 0.5 - 0.25, 0)
    codes = np.floor(reals / np.float64(kind.y.scale) + 0.5) + kind.y.zero
    assert kind.table.tolist() == np.clip(codes, 0, 255).tolist()


def test_an_activation_without_a_layer_before_it_takes_in_what_follows_too():
    n = Net(1, 6)
    n.add("Sigmoid", ["x"], "s")
    n.add("Mul", ["s", n.constant("k", 2.0)], "y")
    assert shape_of_sites(n.model("y")) == [["s", "y"]]
    assert quantised(n.model("y"), n.samples()).kinds() == ["AxTable"]


def test_a_factor_that_differs_from_channel_to_channel_is_no_part_of_a_table():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("HardSwish", ["c"], "h")
    n.add("Mul", ["h", n.weight("k", 1, 4, 1, 1)], "y")
    assert shape_of_sites(n.model("y")) == [["c", "h"], ["y"]]


def test_an_add_that_makes_the_tensor_larger_is_not_bias():
    n = Net(1, 6)
    n.add("MatMul", ["x", n.weight("w", 6, 1)], "m")
    n.add("Add", ["m", n.weight("b", 4)], "y")
    assert shape_of_sites(n.model("y")) == [["m"], ["y"]]
    assert quantised(n.model("y"), n.samples()).kinds() == ["AxFullyConnected", "AxQuantizedAddConstant"]


def test_movers_and_pools_share_one_grid():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("MaxPool", ["c"], "p", kernel_shape=[2, 2], strides=[2, 2])
    n.add("Transpose", ["p"], "t", perm=[0, 2, 3, 1])
    n.add("Reshape", ["t", n.constant("s", [1, 64])], "y")
    chosen = SettledScheme(n.model("y"), x=(-1.0, 1.0), c=(-3.0, 5.0), p=(-3.0, 5.0))
    assert {chosen.scheme.owners[name] for name in ("c", "p", "t", "y")} == {"c"}
    assert chosen.writes["y"] == chosen.writes["c"] == u8(-3.0, 5.0)


def test_a_clamp_behind_a_pool_is_in_the_pools_own_grid():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("MaxPool", ["c"], "p", kernel_shape=[2, 2], strides=[2, 2])
    n.add("Relu", ["p"], "y")
    chosen = SettledScheme(n.model("y"), x=(-1.0, 1.0), c=(-3.0, 5.0), p=(-3.0, 5.0), y=(0.0, 5.0))
    assert shape_of_sites(n.model("y")) == [["c"], ["p", "y"]]
    assert chosen.reads("p", "c") == chosen.writes["y"] == chosen.writes["c"] == u8(-3.0, 5.0)


def test_a_padding_value_widens_the_grid():
    n = Net(1, 3, 8, 8)
    n.add("Pad", ["x", n.constant("p", [0, 0, 1, 1, 0, 0, 1, 1]), n.constant("v", -9.0)], "y")
    n.conv("y", "c", 4, 3)
    chosen = SettledScheme(n.model("c"), x=(-1.0, 1.0), c=(0.0, 1.0))
    assert chosen.reads("y", "x") == chosen.writes["y"] == u8(-9.0, 1.0)


def concat(extra_reader: bool):
    """Two convolutions side by side; the first is read elsewhere too where asked."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.conv("x", "b", 4, 3)
    n.add("Concat", ["a", "b"], "y", axis=1)
    if extra_reader:
        n.add("GlobalAveragePool", ["a"], "g")
        return n.model("y", "g")
    return n.model("y")


def test_inputs_of_a_concat_share_its_grid_where_nobody_else_reads_them():
    chosen = SettledScheme(concat(False), x=(-1.0, 1.0), a=(-0.1, 0.1), b=(-9.0, 9.0))
    assert {chosen.writes[name] for name in ("a", "b", "y")} == {u8(-9.0, 9.0)}


def test_an_input_of_a_concat_that_would_lose_more_than_a_bit_elsewhere_is_requantised():
    model = concat(True)
    chosen = SettledScheme(model, x=(-1.0, 1.0), a=(-0.1, 0.1), b=(-9.0, 9.0), g=(0.0, 1.0))
    assert chosen.writes["a"] == u8(-0.1, 0.1)
    assert chosen.reads("y", "a") == chosen.writes["b"] == chosen.writes["y"] == u8(-9.0, 9.0)
    near = SettledScheme(model, x=(-1.0, 1.0), a=(-5.0, 5.0), b=(-9.0, 9.0), g=(0.0, 1.0))
    assert near.writes["a"] == near.writes["y"] == u8(-9.0, 9.0)


def test_a_requantised_input_of_a_concat_keeps_its_values():
    n = Net(1, 2, 4, 4)
    n.add("Softmax", ["x"], "s", axis=1)
    n.add("Concat", ["x", "s"], "y", axis=1)
    n.add("Relu", ["y"], "z")
    result = quantised(n.model("z"), n.samples())
    assert result.kinds() == ["AxQuantizedSoftmax", "AxRequantizeLinear", "AxConcat", "AxRequantizeLinear"]
    assert "s/requantize" in {node.name for node in result.model.graph.node}


@pytest.mark.parametrize(("value", "apart"), [(0.0, False), (1.0, False), (-2.0, True), (1.5, True)])
def test_a_border_of_a_softmax_that_its_grid_lacks_has_a_grid_with_room_for_it(value, apart):
    n = Net(1, 4)
    n.add("Softmax", ["x"], "s")
    n.add("Pad", ["s", n.constant("p", [0, 1, 0, 1]), n.constant("v", value)], "y")
    model, feeds = n.model("y"), n.samples()
    chosen = SettledScheme(model, x=(-1.0, 1.0), s=(0.0, 1.0))
    odds = Grid(float(np.float32(1 / 255)), 0, U8)
    assert chosen.writes == {"s": odds, "y": u8(min(value, 0.0), max(value, 1.0)) if apart else odds}
    (found,), (wanted,) = quantised(model, feeds).run(feeds[0]), float_run(model, feeds[0])
    np.testing.assert_allclose(found, wanted, atol=4 / 255)


def test_what_is_put_into_a_softmax_from_beyond_its_grid_is_not_cut_off():
    n = Net(1, 4)
    n.add("Softmax", ["x"], "s")
    n.add("ScatterElements", ["s", n.constant("i", [[2]]), n.constant("u", [[-3.0]])], "y", axis=1)
    chosen = SettledScheme(n.model("y"), x=(-1.0, 1.0), s=(0.0, 1.0))
    assert chosen.writes["y"] == u8(-3.0, 1.0) == chosen.reads("y", "s")


# Element types ----------------------------------------------------------------------------------------------------


def residual(*outputs: str):
    """Conv, Relu, and a second Conv whose output is added to what it read."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3, 3, pads=[1] * 4)
    n.add("Relu", ["a"], "r")
    n.conv("r", "b", 4, 4)
    n.add("Add", ["r", "b"], "s")
    n.conv("s", "y", 4, 4)
    return n.model(*(outputs or ("y",))), n.samples()


RANGES = {"x": (-1.0, 1.0), "a": (-2.0, 2.0), "r": (0.0, 2.0), "b": (-1.0, 1.0), "s": (-1.0, 3.0), "y": (-4.0, 4.0)}


def test_a_tensor_has_the_widest_type_that_its_readers_ask_for():
    chosen = SettledScheme(residual()[0], LayerConfig(op_type="Add", data_type="U16"), **RANGES)
    assert {name: type_of(edge).name for name, edge in chosen.writes.items()} == {
        "r": "U16", "b": "U16", "s": "U8", "y": "U8",
    }  # fmt: skip
    assert chosen.writes["r"] == grid_of(Range(0.0, 2.0), U16)


def test_a_reader_gets_the_type_it_asked_for_though_another_needs_a_wider_one():
    chosen = SettledScheme(residual()[0], LayerConfig(op_type="Add", data_type="U16"), **RANGES)
    assert chosen.reads("b", "r") == u8(0.0, 2.0)
    model, samples = residual()
    result = quantised(model, samples, rules=[LayerConfig(op_type="Add", data_type="U16")])
    assert result.kinds() == [
        "AxQuantizedConv", "AxRequantizeLinear", "AxQuantizedConv", "AxQuantizedAdd", "AxQuantizedConv",
    ]  # fmt: skip


SWISH = {"x": (-1.0, 1.0), "c": (-4.0, 4.0), "y": (-0.375, 4.0)}


def test_what_nobody_reads_as_codes_has_its_writers_own_type():
    chosen = SettledScheme(residual()[0], LayerConfig(layer_name="y", data_type="U16"), **RANGES)
    assert type_of(chosen.writes["y"]) == type_of(chosen.writes["s"]) == U16
    assert type_of(chosen.writes["r"]) == U8


@pytest.mark.parametrize(("rule", "kind"), [("HardSwish", U16), ("Conv", S16)])
def test_a_rule_for_what_a_layer_takes_along_is_for_the_output_that_it_makes(rule, kind):
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("HardSwish", ["c"], "y")
    rules = [LayerConfig(op_type="Conv", data_type="S16"), LayerConfig(op_type="HardSwish", data_type="U16")]
    chosen = SettledScheme(n.model("y"), *(one for one in rules if one.op_type in (rule, "Conv")), **SWISH)
    assert type_of(chosen.reads("c", "x")) is S16
    assert type_of(chosen.writes["y"]) is kind


@pytest.mark.parametrize("op", ["Gather", "GatherElements"])
def test_what_only_moves_sixteen_bits_hands_them_on(op):
    n = Net(1, 4)
    n.add("Relu", ["x"], "r")
    n.add(op, ["r", n.constant("i", [[3, 0]])], "y", axis=1)
    chosen = SettledScheme(n.model("y"), LayerConfig(op_type="Relu", data_type="U16"), x=(-1.0, 1.0), r=(0.0, 1.0))
    assert chosen.writes == {"r": grid_of(Range(0.0, 1.0), U16), "y": grid_of(Range(0.0, 1.0), U16)}


def test_rows_of_a_constant_table_are_codes_of_the_type_that_their_node_asks_for():
    n = Net(1, 4)
    n.add("ArgMax", ["x"], "i", axis=1, keepdims=0)
    n.add("Gather", [n.constant("table", [[-2.0], [2.0], [0.0], [1.0]]), "i"], "y")
    rule = LayerConfig(op_type="Gather", data_type="U16")
    ranges = {"x": (-1.0, 1.0), "y": (-2.0, 2.0)}
    assert SettledScheme(n.model("y"), **ranges).writes["y"] == u8(-2.0, 2.0)
    assert SettledScheme(n.model("y"), rule, **ranges).writes["y"] == grid_of(Range(-2.0, 2.0), U16)


def test_output_data_type_stands_whatever_readers_ask_for():
    rule = LayerConfig(layer_name="b", output_data_type="S16")
    chosen = SettledScheme(residual()[0], rule, **RANGES)
    assert chosen.writes["b"] == grid_of(Range(-1.0, 1.0), S16)
    assert chosen.reads("s", "b") == u8(-1.0, 1.0)


def test_an_fp32_operator_is_an_island_that_nothing_fuses_with():
    model, samples = residual()
    result = quantised(model, samples, rules=[LayerConfig(op_type="Add", data_type="FP32")])
    assert result.kinds() == ["AxQuantizedConv", "AxQuantizedConv", "AxAdd", "AxQuantizedConv"]
    assert result.edges()["s"] is FP32
    cut = quantised(model, samples, rules=[LayerConfig(op_type="Relu", data_type="FP32")])
    assert cut.kinds() == ["AxQuantizedConv", "AxClip", "AxQuantizedConv", "AxQuantizedAdd", "AxQuantizedConv"]


def test_all_but_conv_in_fp32_as_the_seed_writes_it():
    model, samples = residual("y")
    conv = LayerConfig(op_type="Conv", data_type="U8", output_data_type="FP32")
    result = quantised(model, samples, rules=[conv, LayerConfig(**WHOLE, data_type="FP32")])
    assert result.kinds() == ["AxQuantizedConv", "AxClip", "AxQuantizedConv", "AxAdd", "AxQuantizedConv"]
    assert all(result.edges()[name] is FP32 for name in ("a", "r", "b", "s", "y"))


def test_fp32_weights_make_a_float_operator_between_codes():
    model, samples = residual()
    result = quantised(model, samples, rules=[LayerConfig(layer_name="b", weight_data_type="FP32")])
    assert result.kinds() == ["AxQuantizedConv", "Conv", "AxQuantizedAdd", "AxQuantizedConv"]
    (site,) = (site for site in result.scheme.sites if site.form is Form.FLOAT)
    assert site.reason == "FP32 weights are asked for, which the NPU does not take; S16 it does"
    assert type_of(result.edges()["s"]) is U8


def test_sixteen_bits_bring_the_net_beyond_sixty_decibels():
    model, samples = residual()
    for name in ("U16", "S16"):
        result = quantised(model, samples, rules=[LayerConfig(**WHOLE, data_type=name, weight_data_type="S16")])
        assert {type_of(edge).name for edge in result.edges().values()} == {name, "FP32"}
        reference = np.stack([float_run(model, feeds)[0] for feeds in samples])
        assert sqnr(reference, np.stack([result.run(feeds)[0] for feeds in samples])) > 60


def test_what_has_no_integer_form_stays_a_float_operator_between_borders():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Softsign", ["c"], "e")
    n.conv("e", "y", 4, 4)
    result = quantised(n.model("y"), n.samples())
    ops = [node.op_type for node in result.model.graph.node]
    assert ops == [
        "AxQuantizeLinear", "AxQuantizedConv", "AxDequantizeLinear", "Softsign", "AxQuantizeLinear", "AxQuantizedConv",
        "AxDequantizeLinear",
    ]  # fmt: skip
    (softsign,) = (node for node in result.model.graph.node if node.op_type == "Softsign")
    assert {entry.key: entry.value for entry in softsign.metadata_props}[
        "axbuild.reason"
    ] == "Softsign has no integer form"


def test_what_reads_a_tensor_without_elements_stays_a_float_operator():
    n = Net(1, 0, 4)
    n.add("ReduceMax", ["x", n.constant("axes", np.array([1]))], "y")
    assert without_integer_form(loaded(n.model("y")).graph[0]) == "its tensor 'x' has no elements"


def test_what_moves_between_float_operators_moves_floats():
    n = Net(1, 4, 6)
    n.add("Softsign", ["x"], "e")
    n.add("Transpose", ["e"], "t", perm=[0, 2, 1])
    n.add("Softsign", ["t"], "y")
    result = quantised(n.model("y"), n.samples())
    assert [node.op_type for node in result.model.graph.node] == ["Softsign", "AxTranspose", "Softsign"]
    feeds = n.samples()[0]
    assert np.array_equal(result.run(feeds)[0], float_run(n.model("y"), feeds)[0])


def test_integers_are_never_quantised():
    n = Net(1, 5, name="unused")
    n.inputs.clear()
    n.input("i", 1, 5, kind=TensorProto.INT64)
    n.add("Gather", [n.weight("table", 20, 6), "i"], "g")
    n.add("MatMul", ["g", n.weight("w", 6, 4)], "y")
    samples = [{"i": np.random.default_rng(seed).integers(0, 20, (1, 5))} for seed in range(8)]
    result = quantised(n.model("y"), samples)
    assert result.edges()["i"] is INT64
    assert result.kinds() == ["AxGather", "AxFullyConnected"]
    reference = np.stack([float_run(n.model("y"), feeds)[0] for feeds in samples])
    assert sqnr(reference, np.stack([result.run(feeds)[0] for feeds in samples])) > 40


def test_an_operator_of_several_outputs_lowers_to_a_kind_for_each_that_is_read():
    n = Net(1, 6, 4)
    n.nodes.append(_split())
    n.add("Relu", ["b"], "y")
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxSlice", "AxRequantizeLinear"]


def _split():
    from onnx import helper

    return helper.make_node("Split", ["x"], ["a", "b", "c"], name="s", axis=1, num_outputs=3)


def test_a_rule_for_an_operator_wins_over_its_type_and_that_over_a_sub_graph():
    rules = [
        LayerConfig(layer_name="a", data_type="U8"),
        LayerConfig(op_type="Conv", data_type="S16"),
        LayerConfig(start_tensor_names=("x",), end_tensor_names=("s",), data_type="U16"),
    ]
    chosen = SettledScheme(residual()[0], *rules, **RANGES)
    assert [type_of(chosen.reads(node, tensor)).name for node, tensor in (("a", "x"), ("b", "r"), ("s", "b"))] == [
        "U8", "S16", "U16",
    ]  # fmt: skip


def test_a_graph_without_a_scheme_says_what_has_no_integer_form():
    n = Net(1, 4)
    n.add("Selu", ["x"], "y")
    graph: ir.Graph = loaded(n.model("y")).graph
    assert without_integer_form(graph[0]) == "Selu has no integer form"


def test_bounds_and_grids_saturate_and_round_half_up():
    grid = Grid(0.5, 10, U8)
    assert [grid.code(x) for x in (0.25, -0.25, 0.2499, 1e9, -1e9, math.inf, -math.inf)] == [11, 10, 10, 255, 0, 255, 0]


def attention(tokens: int, sharpness: float) -> Net:
    """softmax(x A) B over `tokens` places; sharpness: how far the scores are apart."""
    n = Net(1, 4, 8, seed=6)
    n.add("MatMul", ["x", n.weight("scores", 8, tokens, scale=sharpness)], "s")
    n.add("Softmax", ["s"], "p", axis=-1)
    n.add("MatMul", ["p", n.weight("values", tokens, 6)], "y")
    return n


@pytest.mark.parametrize(("tokens", "sharpness"), [(50, 2.0), (600, 10.0), (4000, 25.0)])
def test_mild_scores_over_many_tokens_keep_their_signal(tokens, sharpness):
    net = attention(tokens, sharpness)
    model, samples = net.model("y", "p"), net.samples(4)
    result = quantised(model, samples)
    largest = max(float_run(model, feeds)[1].max() for feeds in samples)
    assert largest < 0.5
    assert result.scale("p") == np.float32(np.float64(largest) / 255)
    for feeds in samples:
        exact, coded = float_run(model, feeds)[0], result.run(feeds)[0]
        assert cosine_of(exact, coded) > 0.99


def test_a_softmax_that_is_sure_of_something_has_the_scale_of_one():
    net = attention(600, 400.0)
    model, samples = net.model("y", "p"), net.samples(4)
    assert max(float_run(model, feeds)[1].max() for feeds in samples) >= 0.5
    assert quantised(model, samples).scale("p") == np.float32(1 / 255)


def test_what_a_mask_hides_from_a_maximum_widens_no_grid():
    net = Net(1, 4, 6, 6)
    shown = net.constant("shown", np.arange(6) > 2)
    net.add("Where", [shown, "x", net.constant("low", np.float32(-1e9))], "masked")
    net.add("ReduceMax", ["masked", net.constant("axis", np.array([-1]))], "y")
    model, samples = net.model("y"), net.samples(4)
    found = quantised(model, samples)
    step = found.scale("y")
    for feed in samples:
        assert np.abs(found.run(feed)[0] - float_run(model, feed)[0]).max() <= 1.5 * step
    assert step * 255 < 20.0
