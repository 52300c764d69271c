"""What a chip lacks goes back to float: where the borders stand, what passes them, and that both sides agree on it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from npu_world import preset_of, support_of

import axbuild
from axbuild.errors import AxWarning
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.graph import MODEL_FILE
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import FP32, U8, Grid
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.net import read_model
from axbuild.toolchain.npu.plan.float_form import without_detours
from axbuild.toolchain.npu.plan.partition import require_sizes
from axbuild.toolchain.npu.plan.placement import judge, way_back
from axbuild.toolchain.npu.plan.preflight import PreflightParams, preflight
from axbuild.toolchain.npu.plan.quantised import PlanError, PlanGraph, PlanNode, ordered
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition
from chain_world import run_chain
from frontend_world import model, node, normal


def trunk():
    """Conv + Relu, MaxPool, Conv; the first map also reaches the end."""
    weights = {"w1": normal(6, 3, 3, 3) / 3, "w2": normal(6, 6, 1, 1) / 2}
    nodes = [
        node("Conv", ["x", "w1"], ["c"], name="first", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["m"], name="pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Conv", ["m", "w2"], ["d"], name="second"),
        node("Add", ["d", "r"], ["y"], name="join"),
    ]
    return model(nodes, weights, inputs=(("x", [1, 3, 6, 6]),))


def built(tmp_path, lacking, **settings):
    rng = np.random.default_rng(0)
    samples = {"x": [rng.standard_normal((1, 3, 6, 6), dtype=np.float32) for _ in range(3)]}
    chain = run_chain(trunk(), tmp_path, settings.pop("samples", samples), batches=(1, 2), lacking=lacking, **settings)
    verdict = chain.verdict()
    assert verdict["passed"] is True, verdict["sentence"]
    agree(chain)
    return Partition.read(tmp_path / "cut/partition"), tmp_path / "cut/partition"


def agree(chain):
    """The session gives, sample by sample and two at a time, what the reference stored."""
    session = axbuild.InferenceSession(chain.axmodel)
    (source,) = session.source.inputs
    files = sorted(chain.samples[0].glob("*.npy"))
    arrays = [np.load(file) for file in files]
    batch = np.stack(arrays) if arrays[0].ndim < len(source.shape) else np.concatenate(arrays)
    (found,) = session.run(None, {source.name: batch.astype(source.dtype)})
    stored = [outputs.load(chain.folder / "reference/boundaries", file.stem)["y"] for file in files]
    assert np.concatenate(stored).tobytes() == found.tobytes()


def op_types(file):
    return [item.op_type for item in onnx.load(file).graph.node]


def shown(planned):
    return [(item.name, [node.name for node in item.nodes]) for item in planned.subgraphs]


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_a_lacking_operator_stands_between_dequantise_and_quantise(tmp_path):
    planned, folder = built(tmp_path, ("MaxPool",))
    assert shown(planned) == [
        ("subgraph_npu_0", ["first"]),
        ("subgraph_cpu_0", ["pool"]),
        ("subgraph_npu_1", ["second", "join"]),
    ]
    assert planned.on_cpu[0].reasons == ("the NPU of AX650 has no MaxPool",)
    assert op_types(folder / "subgraph_npu_0.onnx")[-1] == "AxDequantizeLinear"
    assert op_types(folder / "subgraph_cpu_0.onnx") == ["MaxPool"]
    assert op_types(folder / "subgraph_npu_1.onnx")[0] == "AxQuantizeLinear"


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_codes_pass_from_one_npu_subgraph_to_another_and_reals_to_the_cpu(tmp_path):
    planned, _ = built(tmp_path, ("MaxPool",))
    first, pool, last = planned.subgraphs
    tensors = planned.tensors
    assert sorted(tensors[name].dtype for name in first.outputs) == ["float32", "uint8"]
    assert [tensors[name].dtype for name in (*pool.inputs, *pool.outputs)] == ["float32", "float32"]
    assert set(last.inputs) == {*pool.outputs, *(name for name in first.outputs if tensors[name].dtype == "uint8")}


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_a_fused_node_goes_to_the_cpu_whole(tmp_path):
    planned, folder = built(tmp_path, ("Relu",))
    assert shown(planned)[0] == ("subgraph_cpu_0", ["first"])
    assert op_types(folder / "subgraph_cpu_0.onnx") == ["Conv", "Relu"]
    (file,) = (onnx.load(folder / "subgraph_cpu_0.onnx"),)
    assert ([i.name for i in file.graph.input], [o.name for o in file.graph.output]) == (["x"], ["r"])
    assert [len(tensor.raw_data) for tensor in file.graph.initializer] == [6 * 3 * 9 * 4]


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_neighbours_on_the_cpu_hand_on_reals_and_share_a_subgraph(tmp_path):
    planned, folder = built(tmp_path, ("MaxPool", "Conv"))
    assert shown(planned) == [("subgraph_cpu_0", ["first", "pool", "second"]), ("subgraph_npu_0", ["join"])]
    assert op_types(folder / "subgraph_cpu_0.onnx") == ["Conv", "Relu", "MaxPool", "Conv"]
    assert op_types(folder / "placed.onnx")[:2] == ["AxQuantizeLinear", "AxQuantizeLinear"]


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
@pytest.mark.parametrize("op", ["Relu", "Sigmoid"])
def test_a_power_of_several_exponents_runs_on_the_cpu_whatever_it_stands_behind(tmp_path, op):
    rng = np.random.default_rng(0)
    exponents = rng.choice([1.0, 2.0, 3.0], (1, 3, 6, 6)).astype(np.float32)
    graph = model(
        [node(op, ["x"], ["r"], name="first"), node("Pow", ["r", "e"], ["y"], name="power")],
        {"e": exponents},
        inputs=(("x", [1, 3, 6, 6]),),
    )
    samples = {"x": [rng.standard_normal((1, 3, 6, 6), dtype=np.float32) for _ in range(3)]}
    chain = run_chain(graph, tmp_path, samples)
    assert chain.verdict()["passed"] is True
    agree(chain)
    planned = Partition.read(tmp_path / "cut/partition")
    assert [one.name for one in planned.at(CPU)[0].nodes] == ["power"]


def test_a_model_of_which_nothing_runs_on_the_npu_is_refused(tmp_path):
    with pytest.raises(PlanError) as caught:
        built(tmp_path, ("MaxPool", "Add", "Conv"))
    assert caught.value.sentence == (
        "Nothing of the model runs on the NPU of AX650: 'first' (Conv): the NPU of AX650 has no Conv; "
        "'pool' (MaxPool): the NPU of AX650 has no MaxPool; 'second' (Conv): the NPU of AX650 has no Conv; "
        "'join' (Add): the NPU of AX650 has no Add"
    )


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_the_model_s_output_is_what_the_cpu_made(tmp_path):
    planned, folder = built(tmp_path, ("Add",))
    assert shown(planned)[-1] == ("subgraph_cpu_0", ["join"])
    assert planned.subgraphs[-1].outputs == ("y",)
    assert op_types(folder / "subgraph_cpu_0.onnx") == ["Add"]


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
@pytest.mark.parametrize(
    ("source", "dtype", "operators"),
    [
        ("U8", "uint8", ["AxTranspose", "AxNormalize", "AxReshape"]),
        ("U32", "uint32", ["AxCast", "AxTranspose", "AxNormalize", "AxReshape"]),
        ("FP16", "float16", ["AxCast", "AxTranspose", "AxNormalize", "AxReshape"]),
    ],
)
def test_the_cpu_reads_a_picture_behind_the_pre_processing_of_the_npu(tmp_path, source, dtype, operators):
    rng = np.random.default_rng(1)
    pictures = {"x": [rng.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(3)]}
    settings = {"images": ("x",), "source": source, "layout": "NHWC", "mean": (120.0,) * 3, "std": (60.0,) * 3}
    planned, folder = built(tmp_path, ("Conv",), samples=pictures, **settings)
    assert [item.place for item in planned.subgraphs] == [NPU, CPU, NPU, CPU, NPU]
    assert op_types(folder / "subgraph_npu_0.onnx") == operators
    assert (planned.inputs[0].dtype, planned.inputs[0].shape) == (dtype, (1, 6, 6, 3))


def test_nothing_is_written_twice_where_everything_runs_on_the_npu(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    samples = {"x": [rng.standard_normal((1, 3, 6, 6), dtype=np.float32) for _ in range(2)]}
    run_chain(trunk(), tmp_path, samples)
    quant, placed = (read_model(tmp_path / name) for name in ("quant/quant_axmodel.onnx", "cut/partition/placed.onnx"))
    assert [(n.op_type, list(n.output)) for n in quant.graph.node] == [
        (n.op_type, list(n.output)) for n in placed.graph.node
    ]
    assert not [item for item in recwarn if "AX411" in str(item.message)]


GRID = Grid(0.5, 3, U8)


def plan(*nodes, shapes=None, outputs=("y",)):
    edges = {"x": FP32, "f": FP32, "g": FP32, "y": FP32, "z": FP32, "c": GRID, "d": GRID}
    return PlanGraph(("x",), outputs, nodes, edges, dict.fromkeys(edges, (1, 4)) | (shapes or {}), {})


def on_cpu(name, reads, writes):
    return PlanNode(name, None, (reads,), (writes,), name, (name,))


def entry(reads, writes):
    return PlanNode(f"in/{writes}", Quantize(GRID), (reads,), (writes,))


def way_out(reads, writes):
    return PlanNode(f"out/{writes}", Dequantize(GRID), (reads,), (writes,))


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ((on_cpu("a", "x", "f"), entry("f", "c"), way_out("c", "g"), on_cpu("b", "g", "y")), [("a", "f"), ("b", "y")]),
        ((entry("x", "c"), way_out("c", "g"), on_cpu("b", "g", "y")), [("b", "y")]),
        ((on_cpu("a", "x", "f"), entry("f", "c"), way_out("c", "y")), [("a", "y")]),
        ((entry("x", "c"), way_out("c", "y")), [("in/c", "c"), ("out/y", "y")]),
    ],
)
def test_a_border_there_and_back_goes_where_the_cpu_or_the_user_can_have_the_tensor_itself(nodes, left):
    assert [(one.name, one.outputs[0]) for one in without_detours(plan(*nodes)).nodes] == left


def test_two_outputs_of_one_tensor_on_the_cpu_keep_a_border_each_but_one():
    nodes = (on_cpu("a", "x", "f"), entry("f", "c"), way_out("c", "y"), way_out("c", "z"))
    left = without_detours(plan(*nodes, outputs=("y", "z"))).nodes
    assert [(one.name, one.inputs, one.outputs) for one in left] == [
        ("a", ("x",), ("y",)),
        ("in/c", ("y",), ("c",)),
        ("out/z", ("c",), ("z",)),
    ]


def test_operators_stand_in_the_first_order_in_which_they_may_run():
    nodes = [on_cpu("b", "f", "y"), on_cpu("c", "x", "z"), on_cpu("a", "x", "f")]
    assert [one.name for one in ordered(nodes, ["x"])] == ["c", "a", "b"]
    with pytest.raises(PlanError, match="The operators from 'b' on wait for each other"):
        ordered([on_cpu("b", "f", "y"), on_cpu("a", "y", "f")], ["x"])


def test_a_size_that_depends_on_data_does_not_reach_the_npu():
    graph = plan(on_cpu("a", "x", "f"), entry("f", "c"), way_out("c", "y"), shapes={"f": (-1, 4)})
    with pytest.raises(PlanError) as caught:
        require_sizes(graph)
    assert caught.value.sentence == (
        "The size of 'f', which 'a' makes, depends on data, and 'in/c' on the NPU reads it."
    )


def conv(**attributes):
    weight = ir.Value(name="w", shape=ir.Shape([4, 4, 1, 1]), type=ir.TensorType(ir.DataType.FLOAT))
    data = ir.Value(name="x", shape=ir.Shape([1, 4, 8, 8]), type=ir.TensorType(ir.DataType.FLOAT))
    return ir.node("Conv", [data, weight], attributes, name="c")


CHIP = Support("AX000", {"Conv": ("dilations=1",), "Relu": ()})


@pytest.mark.parametrize(
    ("asked", "formless", "reasons", "expected"),
    [
        (conv(), "", (), False),
        (conv(dilations=[2, 2]), "", ("dilations must be 1, got 2",), True),
        (ir.node("Softsign", [], name="e"), "Softsign has no integer form", ("Softsign has no integer form",), False),
        (ir.node("Abs", [], name="a"), "", ("the NPU of AX000 has no Abs",), False),
    ],
)
def test_the_judge_gives_reasons_and_says_what_was_expected(asked, formless, reasons, expected):
    judgement = judge([asked], CHIP, formless)
    assert (judgement.reasons, judgement.expected, judgement.on_npu) == (reasons, expected, not reasons)


def test_a_size_that_depends_on_data_keeps_a_node_off_the_npu():
    data = ir.Value(name="rows", shape=ir.Shape(["n", 4]), type=ir.TensorType(ir.DataType.FLOAT))
    judgement = judge([ir.node("Relu", [data], name="r")], CHIP)
    assert judgement.reasons == ("the size of 'rows' depends on data",)
    assert judgement.expected is False


def test_what_does_not_fit_on_chip_in_any_tile_runs_on_the_cpu(tmp_path):
    nodes = [
        node("Softmax", ["x"], ["s"], name="wide", axis=1),
        node("Mul", ["s", "two"], ["y"], name="twice"),
    ]
    wide = model(nodes, {"two": np.float32([2])}, inputs=(("x", [2, 9000]),))
    samples = {"x": [normal(2, 9000) for _ in range(2)]}
    with pytest.warns(AxWarning, match="1 of 2 operators on the CPU of AX650: 'wide' "):
        chain = run_chain(wide, tmp_path, samples, ocm_bytes=24 << 10)
    assert chain.verdict()["passed"]
    planned = Partition.read(tmp_path / "cut/partition")
    assert [(one.name, one.reasons) for one in planned.on_cpu] == [
        ("wide", ("it needs 18 KiB on chip for its smallest tile, where NPU1 has 14 KiB for tiles",))
    ]
    assert [one.name for subgraph in planned.at(NPU) for one in subgraph.nodes] == ["twice"]


def test_preflight_says_what_will_not_fit_on_chip(tmp_path):
    wide = model([node("Softmax", ["x"], ["y"], name="wide", axis=1)], {}, inputs=(("x", [2, 9000]),))
    (tmp_path / "model").mkdir()
    onnx.save(onnx.shape_inference.infer_shapes(wide), tmp_path / "model" / MODEL_FILE)
    chip = replace(support_of(), memory=replace(preset_of(), ocm_bytes=24 << 10).memory)
    with pytest.warns(AxWarning, match=r"'wide' \(Softmax\) will run on the CPU.*: it needs 18 KiB on chip"):
        preflight(tmp_path / "model", tmp_path, params=PreflightParams(chip))
    assert len(json.loads((tmp_path / "preflight.json").read_text())["on_cpu"]) == 1


def test_the_way_back_names_node_operator_and_limit():
    asked = conv(dilations=[2, 2])
    assert way_back(asked, judge([asked], CHIP)) == (
        "'c' (Conv) will run on the CPU, one sample at a time: dilations must be 1, got 2; "
        "change that in the float model to keep it on the NPU"
    )
