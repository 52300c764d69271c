"""The quantise stage: interface, names, records, determinism, and what it refuses."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from bodies import LEVELS, session
from quantised import Net, float_run, loaded, quantised, sqnr, write_samples

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.kinds.codes import U8, Grid
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.quant.calibrate import CalibrateParams, MethodError, calibrate
from axbuild.toolchain.quant.node_model import NoSuchNodeError, node_model
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.scheme import Scheme, SchemeError
from axbuild.toolchain.quant.statistics import StatisticsError
from axbuild.toolchain.quant.watch import WatchParams, watch


def cnn() -> tuple[onnx.ModelProto, list]:
    """A net with every family of ops."""
    n = Net(1, 3, 16, 16)
    n.conv("x", "stem", 8, 3, 3, strides=[2, 2], pads=[0, 0, 1, 1])
    n.add("Clip", ["stem", n.constant("lo", np.float32(0)), n.constant("hi", np.float32(6))], "stem_r")
    n.conv("stem_r", "deep", 8, 8, 3, pads=[1] * 4, group=8)
    n.add("Relu", ["deep"], "deep_r")
    n.conv("deep_r", "point", 8, 8)
    n.add("Add", ["stem_r", "point"], "sum")
    n.add("MaxPool", ["sum"], "most", kernel_shape=[2, 2], strides=[2, 2])
    n.add("AveragePool", ["sum"], "some", kernel_shape=[2, 2], strides=[2, 2])
    n.add("Concat", ["most", "some"], "both", axis=1)
    n.add("GlobalAveragePool", ["both"], "mean")
    n.add("Reshape", ["mean", n.constant("shape", np.array([1, -1]))], "flat")
    n.add("Gemm", ["flat", n.weight("fw", 10, 16), n.weight("fb", 10)], "logits", transB=1)
    n.add("Softmax", ["logits"], "odds", axis=1)
    return n.model("logits", "odds"), n.samples(8)


@pytest.fixture(scope="module")
def net():
    model, samples = cnn()
    return model, samples, quantised(model, samples)


def test_a_small_cnn_is_close_to_float_end_to_end(net):
    model, samples, result = net
    pairs = [(float_run(model, feeds), result.run(feeds)) for feeds in samples]
    assert sqnr(np.stack([f[0] for f, _ in pairs]), np.stack([q[0] for _, q in pairs])) > 30
    assert max(np.abs(f[1] - q[1]).max() for f, q in pairs) < 0.02


def test_a_small_cnn_is_the_oracle_to_the_last_bit_at_every_optimisation_level(net):
    _, samples, result = net
    expected = [y.tobytes() for y in result.run_oracle(samples[0])]
    for level in LEVELS:
        assert [y.tobytes() for y in result.run(samples[0], level=level)] == expected


def test_inputs_and_outputs_keep_names_shapes_and_float32(net):
    model, _, result = net
    onnx.checker.check_model(result.model)
    for ours, theirs in (
        (result.model.graph.input, model.graph.input),
        (result.model.graph.output, model.graph.output),
    ):
        assert [value.name for value in ours] == [value.name for value in theirs]
        assert [value.type for value in ours] == [value.type for value in theirs]
    assert result.model.producer_name == "axbuild"


def test_nodes_keep_their_names_and_name_what_they_swallowed(net):
    _, _, result = net
    origins = {
        node.name: json.loads(entry.value)
        for node in result.model.graph.node
        for entry in node.metadata_props
        if entry.key == "axbuild.origins"
    }
    assert origins["stem"] == ["stem", "stem_r"]
    assert origins["deep"] == ["deep", "deep_r"]
    assert origins["point"] == ["point"]
    assert {"sum", "most", "some", "both", "mean", "flat", "logits", "odds"} <= set(origins)


def test_every_tensor_names_its_float_tensor_and_every_node_the_fused_node_it_is_of(net):
    model, _, result = net
    known = {value.name for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    for value in (*result.model.graph.input, *result.model.graph.value_info, *result.model.graph.output):
        meta = {entry.key: entry.value for entry in value.metadata_props}
        assert meta["axbuild.tensor"] in known
    sites = {}
    for node in result.model.graph.node:
        meta = {entry.key: entry.value for entry in node.metadata_props}
        sites[node.name] = (meta["axbuild.site"], json.loads(meta["axbuild.nodes"]))
    assert sites["stem"] == ("stem", ["stem", "stem_r"])
    assert sites["x/quantize"] == ("", [])
    assert isinstance(result.edges()["sum"], Grid)
    assert result.edges()["stem_r"] == Grid(result.scale("stem_r"), 0, U8)


def test_one_node_alone_runs_and_gives_what_it_gives_in_the_whole(net):
    _, samples, result = net
    alone = node_model(result.model, "point")
    onnx.checker.check_model(alone)
    whole = onnx.ModelProto.FromString(result.model.SerializeToString())
    whole.graph.output.extend(v for v in whole.graph.value_info if v.name in ("deep_r", "point"))
    values = dict(zip(["logits", "odds", "deep_r", "point"], _run(whole, samples[0]), strict=True))
    (found,) = _run(alone, {"deep_r": values["deep_r"]})
    assert found.tobytes() == values["point"].tobytes()
    with pytest.raises(NoSuchNodeError, match="no node 'none'"):
        node_model(result.model, "none")


def _run(model, feeds):
    return session(model, next(iter(LEVELS))).run(None, feeds)


def test_the_same_input_gives_the_same_bytes(net):
    model, samples, result = net
    assert quantised(model, samples).content == result.content


def test_records_have_the_states_and_counts_of_the_vendors_snapshot(net):
    _, _, result = net
    states = Counter(record["state"] for op in result.records.values() for record in op.values())
    assert list(result.records) == [
        "stem", "stem_r", "deep", "deep_r", "point", "sum", "most", "some", "both", "mean", "flat", "logits", "odds",
    ]  # fmt: skip
    assert states == {
        "BAKED": 4, "PASSIVE_BAKED": 4, "SOI": 3, "ACTIVATED": 8, "OVERLAPPED": 18, "SLAVE": 2,
    }  # fmt: skip


def test_every_record_follows_an_activated_one_of_the_same_scale(net):
    _, _, result = net
    records = [record for op in result.records.values() for record in op.values()]
    deciding = {record["hash"]: record for record in records if record["state"] == "ACTIVATED"}
    for record in records:
        assert set(record) >= {"bit_width", "policy", "state", "quant_min", "quant_max", "hash", "dominator"}
        if record["state"] in ("OVERLAPPED", "SLAVE"):
            assert record["dominator"] != record["hash"]
            assert deciding[record["dominator"]]["scale"] == record["scale"]
        else:
            assert record["dominator"] == record["hash"]
    assert len({record["hash"] for record in records}) == len(records)


def test_fused_output_is_dominated_by_its_activation(net):
    _, _, result = net
    assert result.records["stem"]["stem"]["dominator"] == result.records["stem_r"]["stem_r"]["hash"]
    assert result.records["stem"]["stem"]["state"] == "OVERLAPPED"
    assert result.records["stem"]["x"]["state"] == "ACTIVATED"
    weight = result.records["stem"]["stem_w"]
    assert (weight["bit_width"], weight["quant_min"], weight["quant_max"], len(weight["scale"])) == (8, -127, 127, 8)
    assert result.records["stem"]["stem_b"]["bit_width"] == 32


def test_near_dead_channels_are_raised_and_listed():
    n = Net(1, 2, 4, 4)
    w = np.ones((3, 2, 1, 1), np.float32)
    w[1] = 1e-21
    b = np.array([0.5, 4.0, 0.0], np.float32)
    n.add("Conv", ["x", n.constant("w", w), n.constant("b", b)], "y", kernel_shape=[1, 1])
    samples = n.samples()
    result = quantised(n.model("y"), samples)
    assert result.records["y"]["w"]["raised_channels"] == [1]
    y, expected = result.run(samples[0])[0], float_run(n.model("y"), samples[0])[0]
    assert np.abs(y - expected).max() < 2 * result.scale("y")


def test_a_tensor_read_and_given_out_stands_under_both_names():
    n = Net(1, 4)
    n.add("Relu", ["x"], "r")
    n.add("Gemm", ["r", n.weight("w", 4, 3)], "y")
    result = quantised(n.model("r", "y"), n.samples())
    assert {value.name for value in result.model.graph.value_info} == {"x/codes", "r/codes", "y/codes"}
    assert onnx.checker.check_model(result.model) is None


def test_names_that_are_taken_get_a_number():
    n = Net(1, 4)
    n.add("Relu", ["x"], "x/codes")
    n.add("Transpose", ["x/codes"], "y", perm=[1, 0])
    n.nodes[1].name = "x/quantize"
    samples = n.samples()
    result = quantised(n.model("y"), samples)
    names = [node.name for node in result.model.graph.node]
    assert len(set(names)) == len(names)
    expected = np.maximum(samples[0]["x"], 0).T
    assert np.abs(result.run(samples[0])[0] - expected).max() < result.scale("x") + result.scale("y")


def test_constants_make_way_for_tensors_of_their_name():
    n = Net(1, 3, 4, 4)
    n.conv("x", "c.weight", 3, 3)
    n.nodes[0].name = "c"
    n.add("Relu", ["c.weight"], "y")
    n.add("Add", ["c.weight", "y"], "z")
    samples = n.samples()
    result = quantised(n.model("z"), samples)
    onnx.checker.check_model(result.model)
    assert {i.name for i in result.model.graph.initializer} >= {"c.weight_1", "c.bias"}
    assert result.run(samples[0])[0].shape == (1, 3, 4, 4)


def test_an_input_nobody_reads_stays_an_input():
    n = Net(1, 4)
    n.input("idle", 1, 2)
    n.add("Relu", ["x"], "y")
    samples = n.samples()
    result = quantised(n.model("y"), samples)
    assert [value.name for value in result.model.graph.input] == ["x", "idle"]
    assert result.run(samples[0])[0].shape == (1, 4)


@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (5, 1, 1), (1,), (), (1, 1, 1, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_constant_a_channel_is_added_with_32_bits(shape, swapped):
    n = Net(1, 5, 4, 4)
    n.constant("c", np.random.default_rng(1).normal(0, 2, shape).astype(np.float32))
    n.add("Add", ["c", "x"] if swapped else ["x", "c"], "y")
    samples = n.samples()
    result = quantised(n.model("y"), samples)
    distance = np.abs(result.run(samples[0])[0] - float_run(n.model("y"), samples[0])[0]).max()
    assert distance <= 0.5 * result.scale("x") + 0.51 * result.scale("y")


FLOAT = {
    "a quotient of many constants": lambda n: n.add("Div", [n.weight("c", 1, 4, 8, 8), "x"], "y"),
    "weights computed": lambda n: n.add("Conv", ["x", n.add("Relu", [n.input("w", 3, 4, 1, 1)], "r")], "y"),
    "an unknown op": lambda n: n.add("Selu", ["x"], "y"),
    "reflection on a constant axis": lambda n: n.add("Pad", ["x", n.constant("p", [0, 0, -1, 0, 0, 0, 0, 0])], "y"),
    "a product over channels": lambda n: n.add("ReduceProd", ["x", n.constant("a", [1])], "y"),
}


@pytest.mark.parametrize("what", FLOAT)
def test_what_has_no_integer_form_says_why_and_stays_a_float_operator(what):
    n = Net(1, 4, 8, 8)
    FLOAT[what](n)
    model, samples = n.model("y"), n.samples()
    (node,) = (node for node in loaded(model).graph if node.name == "y")
    assert without_integer_form(node)
    result = quantised(model, samples)
    assert result.float_ops() == [node.op_type]
    reference = float_run(model, samples[0])[0]
    assert sqnr(reference, result.run(samples[0])[0]) > 30


def statistics(tmp_path, model, samples):
    onnx.save(model, tmp_path / "m.onnx")
    folder = write_samples(tmp_path / "samples", [feeds["x"] for feeds in samples])
    watch(tmp_path / "m.onnx", tmp_path, params=WatchParams())
    params = ObserveParams((InputData("x", "Numpy"),))
    observe(tmp_path / "m.onnx", tmp_path / "watch.json", [folder], tmp_path, params=params)
    return tmp_path / "statistics.msgpack"


def two_nets(tmp_path):
    """(statistics of a net, another net's file)"""
    small = Net(1, 4)
    small.add("Relu", ["x"], "z")
    other = Net(1, 4)
    other.add("Relu", ["x"], "y")
    onnx.save(other.model("y"), tmp_path / "other.onnx")
    return statistics(tmp_path, small.model("z"), small.samples()), tmp_path / "other.onnx"


def test_statistics_of_another_model_are_refused(tmp_path):
    found, other = two_nets(tmp_path)
    with pytest.raises(StatisticsError, match="do not hold tensor 'y'"):
        calibrate(other, found, tmp_path, params=CalibrateParams("MinMax"))


def test_a_scheme_of_another_model_is_refused(tmp_path):
    found, other = two_nets(tmp_path)
    calibrate(tmp_path / "m.onnx", found, tmp_path, params=CalibrateParams("MinMax"))
    with pytest.raises(SchemeError, match="another model: the node 'y' differs"):
        quantize(other, tmp_path / "scheme.msgpack", tmp_path, params=QuantizeParams())


def test_an_unknown_method_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(MethodError, match="no method 'Median'; there is MinMax, Percentile, MSE, KL, Auto"):
        calibrate(tmp_path / "m", tmp_path / "s", tmp_path, params=CalibrateParams("Median"))


def test_lowering_takes_codes_from_the_scheme_and_derives_none(net, tmp_path):
    """Whoever tunes a weight writes another scheme; the model then holds just those codes."""
    model, _, result = net
    onnx.save(model, tmp_path / "m.onnx")
    sites = []
    for site in result.scheme.sites:
        weight = site.weight
        if site.nodes[0] == "point":
            weight = replace(weight, codes=np.zeros_like(weight.codes), bias=weight.bias + 7)
        sites.append(replace(site, weight=weight))
    Scheme(tuple(sites), result.scheme.owners).write(tmp_path / "scheme.msgpack")
    quantize(tmp_path / "m.onnx", tmp_path / "scheme.msgpack", tmp_path, params=QuantizeParams())
    tuned = onnx.load(tmp_path / "quant_axmodel.onnx")
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tuned.graph.initializer}
    assert not constants["point.weight"].any()
    assert np.array_equal(constants["point.bias"], result.kind("point").bias + 7)


def test_what_arithmetic_cannot_hold_names_the_node():
    n = Net(1, 140000)
    n.add("Gemm", ["x", n.constant("w", np.ones((140000, 1), np.float32))], "y")
    with pytest.raises(
        AxError, match=r"node 'y' \(Gemm\) cannot be quantised: Output channel 0 .* below 2\^31"
    ) as caught:
        quantised(n.model("y"), n.samples(2))
    assert caught.value.code == "AX453"
