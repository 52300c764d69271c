"""Observation in parts: where a model is cut, which parts there are, and that together they are one observation."""

import json

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantised import Net, loaded, write_samples

from axbuild.codes import exit_code_of
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError
from axbuild.toolchain.data.shards import write_shards
from axbuild.toolchain.quant import cuts
from axbuild.toolchain.quant.cuts import seconds_of, segments_of
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.observe_on import ObserveOnParams, observe_on
from axbuild.toolchain.quant.segment import SegmentParams, segment
from axbuild.toolchain.quant.segments import Segment, Segments, SegmentsError
from axbuild.toolchain.quant.spread import SpreadParams, spread
from axbuild.toolchain.quant.statistics import Statistics, StatisticsError
from axbuild.toolchain.quant.watch import WatchParams, watch

MASKED = (InputData("x", "Numpy"), InputData("mask", "Numpy"))


def net(names="", head=1.0):
    """Three layers, a residual one between them, and a mask that the last one reads; names: before those of nodes."""
    n = Net(1, 4, 6, 6)
    n.input("mask", 1, 4, 1, 1)
    n.conv("x", "a", 4, 4, 3, pads=[1] * 4)
    n.add("Relu", ["a"], "b")
    n.conv("b", "c", 4, 4, 3, pads=[1] * 4)
    n.add("Add", ["b", "c"], "d")
    n.conv("d", "e", 4, 4, 1)
    n.add("Mul", ["e", "mask"], "f")
    n.add("GlobalAveragePool", ["f"], "y")
    model = n.model("y")
    for node in model.graph.node:
        node.name = f"{names}{node.name}"
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        last = tensor.name in model.graph.node[4].input
        tensor.CopyFrom(onnx.numpy_helper.from_array(array * np.float32(head if last else 1.0), tensor.name))
    return model


@pytest.fixture
def short(monkeypatch):
    """A layer is long enough for a segment of its own, and what is kept costs nothing."""
    monkeypatch.setattr(cuts, "LONG_SECONDS", 2 * cuts.NODE_SECONDS)
    monkeypatch.setattr(cuts, "BYTE_SECONDS", 1e-12)


def watched(model, folder):
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "optimized.onnx")
    watch(folder / "optimized.onnx", folder, params=WatchParams())
    return Segments.read(folder / "segments.json")


def test_a_small_model_is_one_segment():
    (one,) = segments_of(loaded(net()).graph)
    assert one.reads == ("x", "mask")
    assert one.writes == ()


def test_segments_are_the_graph_in_order_and_read_what_was_made_before(short):
    rows = segments_of(loaded(net()).graph)
    assert len(rows) == 3
    assert [name for row in rows for name in row.nodes] == [node.name for node in net().graph.node]
    assert rows[0].reads == ("x", "mask")
    assert [row.reads for row in rows[1:]] == [("b",), ("d", "mask")]
    assert [row.writes for row in rows] == [("b",), ("d",), ()]


def test_no_cut_lies_where_what_is_kept_costs_more_than_its_share(short, monkeypatch):
    monkeypatch.setattr(cuts, "BYTE_SECONDS", 1e-6)
    assert len(segments_of(loaded(net()).graph)) == 1


def test_no_cut_keeps_what_is_no_float_tensor_of_a_fixed_shape(short):
    n = Net(1, 4)
    n.add("Relu", ["x"], "a")
    n.add("Greater", ["a", n.weight("zero", 1, 4)], "b")
    for step in range(6):
        n.add("Relu", ["a" if step == 0 else f"r{step - 1}"], f"r{step}")
    n.add("Where", ["b", "r5", "a"], "y")
    assert len(segments_of(loaded(n.model("y")).graph)) == 1


def test_a_graph_within_the_graph_is_not_cut(short):
    model = net()
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["d"], ["inner"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("inner", 1, [1, 4, 6, 6])],
    )
    truth = onnx.helper.make_node("Constant", [], ["truth"], value=onnx.numpy_helper.from_array(np.array(True)))
    chosen = onnx.helper.make_node("If", ["truth"], ["chosen"], then_branch=branch, else_branch=branch)
    model.graph.node.extend([truth, chosen])
    assert len(segments_of(ir.serde.deserialize_model(model).graph)) == 1


def test_a_layer_takes_longer_the_more_it_multiplies():
    def layer(channels, side):
        n = Net(1, channels, side, side)
        n.conv("x", "y", channels, channels, 3, pads=[1] * 4)
        return seconds_of(loaded(n.model("y")).graph[0])

    products = [(channels * side) ** 2 * 9 for channels, side in ((64, 32), (64, 64))]
    small, large = layer(64, 32), layer(64, 64)
    assert large - small == pytest.approx(
        cuts.MULTIPLY_SECONDS * (products[1] - products[0]) + cuts.ELEMENT_SECONDS * 64 * (64**2 - 32**2)
    )


def samples_of(tmp_path, count=5):
    rng = np.random.default_rng(3)
    x = [rng.normal(size=(1, 4, 6, 6)).astype(np.float32) for _ in range(count)]
    mask = [rng.uniform(size=(1, 4, 1, 1)).astype(np.float32) for _ in range(count)]
    return [write_samples(tmp_path / "x", x), write_samples(tmp_path / "mask", mask)]


def in_segments(folder, plan, samples, out):
    """Observe the segments one after the other: the parts, and the boundaries on the way."""
    segment(folder / "optimized.onnx", folder / "watch.json", folder / "segments.json", out, params=SegmentParams())
    held = dict(zip(("x", "mask"), samples, strict=True))
    parts = []
    for number, row in enumerate(plan.segments):
        model, rows = out / f"segments/{number}/optimized.onnx", out / f"segments/{number}/watch.json"
        inputs = tuple(InputData(name, "Numpy") for name in row.reads)
        made = out / f"part{number}"
        made.mkdir()
        given = [held[name] for name in row.reads]
        if row.writes:
            observe_on(model, rows, given, made, params=ObserveOnParams(inputs, row.writes))
            held |= {name: made / f"boundary/{place}" for place, name in enumerate(row.writes)}
        else:
            observe(model, rows, given, made, params=ObserveParams(inputs))
        parts.append(made / "statistics.msgpack")
    return parts


def test_what_is_observed_in_segments_is_what_is_observed_at_once(short, tmp_path):
    plan = watched(net(), tmp_path)
    samples = samples_of(tmp_path)
    parts = in_segments(tmp_path, plan, samples, tmp_path)
    merge(parts, tmp_path, params=MergeParams())
    apart = (tmp_path / "statistics.msgpack").read_bytes()
    params = ObserveParams(MASKED)
    observe(tmp_path / "optimized.onnx", tmp_path / "watch.json", samples, tmp_path, params=params)
    assert apart == (tmp_path / "statistics.msgpack").read_bytes()


def test_parts_of_other_samples_than_each_other_do_not_make_one_model(short, tmp_path):
    plan = watched(net(), tmp_path)
    (tmp_path / "few").mkdir()
    parts = in_segments(tmp_path, plan, samples_of(tmp_path), tmp_path)
    fewer = in_segments(tmp_path, plan, samples_of(tmp_path / "few", 4), tmp_path / "few")
    with pytest.raises(StatisticsError, match="two parts of the statistics are of 5 and 4 samples"):
        merge([parts[0], parts[1], fewer[2]], tmp_path, params=MergeParams())


def test_parts_of_one_model_hold_each_tensor_once(short, tmp_path):
    plan = watched(net(), tmp_path)
    first, *_ = in_segments(tmp_path, plan, samples_of(tmp_path), tmp_path)
    held = Statistics.read(first)
    Statistics(held.samples, {"b": held.tensors["b"]}).write(tmp_path / "again")
    with pytest.raises(StatisticsError, match="two parts of the statistics hold tensor 'b'"):
        merge([first, tmp_path / "again"], tmp_path, params=MergeParams())


def bytes_of(model, folder):
    watched(model, folder)
    segment(folder / "optimized.onnx", folder / "watch.json", folder / "segments.json", folder, params=SegmentParams())
    return [
        {file.name: file.read_bytes() for file in sorted(one.iterdir())}
        for one in sorted((folder / "segments").iterdir())
    ]


def test_other_names_of_operators_change_no_segment_and_other_weights_their_own(short, tmp_path):
    plain = bytes_of(net(), tmp_path / "plain")
    assert len(plain) == 3
    assert bytes_of(net(names="renamed/"), tmp_path / "renamed") == plain
    head = bytes_of(net(head=2.0), tmp_path / "head")
    assert [one == other for one, other in zip(plain, head, strict=True)] == [True, True, False]


LONG = Segments(
    ("x", "mask"),
    (
        Segment(("p", "q"), ("x", "mask"), ("b", "m"), 0.05),
        Segment(("r",), ("b",), ("d",), 0.05),
        Segment(("s",), ("d", "m", "mask"), (), 0.05),
    ),
)
SHORT = Segments(("x", "mask"), (Segment(("p",), ("x", "mask"), (), 0.15),))


def expansion(tmp_path, plan, shards, inputs=MASKED):
    plan.write(tmp_path / "segments.json")
    paths = []
    for place, one in enumerate(shards):
        paths.append(tmp_path / f"shards{place}.json")
        write_shards(one, paths[-1])
    spread(tmp_path / "segments.json", paths, tmp_path, params=SpreadParams(inputs))
    return json.loads((tmp_path / "expansion.json").read_text())


def shards(**counts):
    return {
        "/".join(bits) + "/" * bool(bits): [f"{bits}_{number}" for number in range(count)]
        for bits, count in ((name.removeprefix("_"), count) for name, count in counts.items())
    }


def test_what_is_short_is_one_action(tmp_path):
    made = expansion(tmp_path, LONG, [shards(_=26)] * 2)
    assert [child["name"] for child in made["children"]] == ["observe"]
    assert made["children"][0]["inputs"] == {
        "model": "input:model",
        "watch": "input:watch",
        "samples": ["input:samples.0000", "input:samples.0001"],
    }
    assert made["result"] == {"statistics.msgpack": "child:observe/statistics.msgpack"}


def test_a_model_of_one_segment_is_observed_by_shards(tmp_path):
    made = expansion(tmp_path, SHORT, [shards(_0=30, _10=6, _11=7)] * 2)
    assert [child["name"] for child in made["children"]] == ["observe_0", "observe_1", "merge"]
    assert made["children"][1]["inputs"]["samples"] == ["input:samples.0000/1/", "input:samples.0001/1/"]
    assert made["children"][2]["inputs"]["parts"] == [
        "child:observe_0/statistics.msgpack",
        "child:observe_1/statistics.msgpack",
    ]


def test_a_long_model_is_observed_a_segment_and_shard_at_a_time(tmp_path):
    made = {child["name"]: child for child in expansion(tmp_path, LONG, [shards(_0=30, _1=40)] * 2)["children"]}
    assert list(made) == [
        "segment",
        *(f"observe_{number}_of_3_{bit}" for number in (1, 2, 3) for bit in (0, 1)),
        "merge",
    ]
    first, last = made["observe_1_of_3_0"], made["observe_3_of_3_1"]
    assert first["stage"].endswith(":observe_on")
    assert first["params"]["writes"] == ["b", "m"]
    assert last["stage"].endswith(":observe")
    assert last["inputs"] == {
        "model": "child:segment/segments/2/",
        "watch": "child:segment/segments/2/watch.json",
        "samples": [
            "child:observe_2_of_3_1/boundary/0/",
            "child:observe_1_of_3_1/boundary/1/",
            "input:samples.0001/1/",
        ],
    }
    assert [data["name"] for data in last["params"]["inputs"]] == ["d", "m", "mask"]


def test_inputs_whose_samples_have_no_partner_are_named(tmp_path):
    with pytest.raises(SampleMismatchError, match="sample '_3' is in the set of input 'x' and not in that of 'mask'"):
        expansion(tmp_path, LONG, [shards(_=4), shards(_=3)])


@pytest.mark.parametrize("text", ["", "[]", '{"format": "x"}', '{"format": "axbuild-segments/1", "inputs": []}'])
def test_a_damaged_list_of_segments_is_refused(tmp_path, text):
    (tmp_path / "segments.json").write_text(text)
    with pytest.raises(SegmentsError) as caught:
        Segments.read(tmp_path / "segments.json")
    assert exit_code_of(caught.value.code) == 3
