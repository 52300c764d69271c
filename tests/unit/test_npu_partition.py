"""From a quantised model to subgraphs: pre-processing built in, canonical names, and what stops a model early."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from bodies import session
from npu_world import CHIPS, Chain, preset_of, support_of
from onnx import helper, numpy_helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxWarning
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import U8, Grid
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.net import NetError, read_model
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.preflight import Declared, PreflightParams, preflight
from axbuild.toolchain.npu.plan.preprocess import ProcessorError
from axbuild.toolchain.npu.plan.record import NPU, Partition
from axbuild.toolchain.npu.plan.split import SplitParams, split
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.simulator.machine import simulate
from axbuild.toolchain.ops.registry import all_ops

PICTURE = InputProcessor("DEFAULT", "BGR", "BGR", "U8", "NHWC", (103.939, 116.779, 123.68), (58.0, 57.0, 56.0))


def quantised(names: tuple[str, str, str] = ("image", "codes", "y")) -> onnx.ModelProto:
    """Quantise and dequantise a 3-channel picture."""
    chain = Chain()
    image, codes, y = names
    x = chain.input(image, (1, 3, 5, 4), "float32")
    grid = Grid(float(np.float32(0.02)), 117, U8)
    return chain.model(chain.add(Dequantize(grid), chain.add(Quantize(grid), x, name=codes), name=y))


def partitioned(tmp_path, model: onnx.ModelProto, *processors: InputProcessor):
    file, out = tmp_path / "quant.onnx", tmp_path / "out"
    out.mkdir()
    file.write_bytes(model.SerializeToString())
    (tmp_path / "optimized.onnx").write_bytes(float_model().SerializeToString())
    partition(file, tmp_path / "optimized.onnx", out, params=PartitionParams(support_of(), processors))
    folder = out / "partition"
    return Partition.read(folder), folder


def ops(folder) -> list[str]:
    return [node.op_type for node in read_model(folder / "subgraph_npu_0.onnx").graph.node]


def simulated(folder, feeds):
    out = folder.parent / "compiled"
    out.mkdir()
    compile_subgraph(folder / "subgraph_npu_0.onnx", out, params=CompileParams(preset_of()))
    program = decode((out / "program.msgpack").read_bytes())
    return simulate(program, (out / "params.bin").read_bytes(), feeds)


def source(processor: InputProcessor) -> np.ndarray:
    """Every value of a byte in every channel, in the processor's layout and dtype."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (1, 3, 5, 4)).astype(np.uint8 if processor.src_dtype == "U8" else np.float32)
    return raw if processor.src_layout == "NCHW" else np.ascontiguousarray(raw.transpose(0, 2, 3, 1))


def stated(x: np.ndarray, processor: InputProcessor) -> np.ndarray:
    """The pre-processing as it is documented, in numpy."""
    planes = x.astype(np.float32)
    planes = planes.transpose(0, 3, 1, 2) if processor.src_layout == "NHWC" else planes
    if not processor.mean:
        return planes
    mean, std = (np.asarray(v, np.float32).reshape(1, -1, 1, 1) for v in (processor.mean, processor.std))
    return (planes - mean) / std


VARIANTS = {
    "a picture is one table": (PICTURE, ["AxTranspose", "AxQuantizedNormalize", "AxDequantizeLinear"]),
    "planes need no transposing": (
        replace(PICTURE, src_layout="NCHW"), ["AxQuantizedNormalize", "AxDequantizeLinear"],
    ),
    "one mean for all channels": (
        replace(PICTURE, mean=(120.0,), std=(60.0,)), ["AxTranspose", "AxQuantizedNormalize", "AxDequantizeLinear"],
    ),
    "bytes without normalisation": (
        replace(PICTURE, mean=(), std=()), ["AxTranspose", "AxQuantizedNormalize", "AxDequantizeLinear"],
    ),
    "raw floats": (
        replace(PICTURE, src_dtype="FP32"), ["AxTranspose", "AxNormalize", "AxQuantizeLinear", "AxDequantizeLinear"],
    ),
    "the model's own input": (
        replace(PICTURE, src_dtype="FP32", src_layout="NCHW", mean=(), std=()),
        ["AxQuantizeLinear", "AxDequantizeLinear"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_pre_processing_is_built_in_and_exact(tmp_path, name):
    processor, expected = VARIANTS[name]
    model = quantised()
    record, folder = partitioned(tmp_path, model, processor)
    assert ops(folder) == expected
    x = source(processor)
    image = BoundaryTensor("image", x.dtype.name, x.shape, layout=processor.src_layout, color=processor.src_format)
    assert record.inputs == (image,)
    (want,) = session(model, "optimisation off").run(None, {"image": stated(x, processor)})
    found = simulated(folder, {"input_0": x})
    assert found["output_0"].tobytes() == want.tobytes()


def test_names_of_the_model_do_not_enter_the_subgraph(tmp_path):
    files = []
    for i, names in enumerate([("image", "codes", "y"), ("a", "b", "c")]):
        place = tmp_path / str(i)
        place.mkdir()
        record, folder = partitioned(place, quantised(names), PICTURE)
        (subgraph,) = record.subgraphs
        assert (subgraph.name, subgraph.place, subgraph.together) == ("subgraph_npu_0", NPU, True)
        assert (subgraph.inputs, subgraph.outputs) == ((names[0],), (names[2],))
        files.append((folder / "subgraph_npu_0.onnx").read_bytes())
    assert files[0] == files[1]


def test_the_entry_of_an_input_goes_before_the_default(tmp_path):
    own = replace(PICTURE, tensor_name="image", src_layout="NCHW")
    record, _ = partitioned(tmp_path, quantised(), PICTURE, own)
    assert record.inputs[0].layout == "NCHW"


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"tensor_name": "picture"}, ProcessorError, "'picture', which is no input"),
        ({"src_format": "GRAY"}, ProcessorError, "src_format GRAY does not become tensor_format BGR"),
        ({"mean": (1.0, 2.0)}, ProcessorError, "mean has 2 values"),
        ({"std": (1.0, 0.0, 1.0)}, ProcessorError, "every std must be a positive number"),
        ({"src_dtype": "U64"}, ProcessorError, "src_dtype must be one of U8, S8, U16, S16, U32, S32, FP16, FP32, got"),
        ({"src_layout": "NHCW"}, ProcessorError, "src_layout must be NCHW or NHWC, got 'NHCW'"),
    ],
)
def test_a_processor_that_does_not_fit_is_refused(tmp_path, change, error, sentence):
    with pytest.raises(error) as caught:
        partitioned(tmp_path, quantised(), replace(PICTURE, **change))
    assert sentence in caught.value.sentence
    assert exit_code_of(caught.value.code) == 2


def test_split_lays_out_one_compilation_for_each_batch(tmp_path):
    _, folder = partitioned(tmp_path, quantised(), PICTURE)
    compilation = {"chip": {"name": "AX650", "npu_mode": "NPU2"}, "options": {"ddr_bw_limit": 3.5}}
    split(folder, [], tmp_path, params=SplitParams(**compilation, batches=(1, 4)))
    record = json.loads((tmp_path / "expansion.json").read_text())
    assert [child["name"] for child in record["children"]] == ["compile_0_b1", "compile_0_b4"]
    assert record["children"][1]["params"] == compilation | {"batch": 4}
    assert record["children"][1]["inputs"] == {"subgraph": "input:partition/subgraph_npu_0.onnx"}
    assert record["result"]["subgraph_npu_0/b4/params.bin"] == "child:compile_0_b4/params.bin"
    assert len(record["result"]) == 6


def test_the_report_is_an_estimate_and_says_so(tmp_path):
    _, folder = partitioned(tmp_path, quantised(), PICTURE)
    compile_subgraph(folder / "subgraph_npu_0.onnx", tmp_path, params=CompileParams(preset_of(), 2))
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["estimate"] is True
    assert report["calibration_error_percent"] == -1, "nothing in it was ever compared"
    assert (report["batch"], report["macs"], report["max_cycle"] > 2000) == (2, 0, True)
    rows = [(row["name"], row["jobs"] > 0) for row in report["ops"]]
    assert rows == [("op_0:AxTranspose", False), ("op_1:AxQuantizedNormalize", True), ("op_2:AxDequantizeLinear", True)]
    assert sum(row["ddr_bytes"] for row in report["ops"]) >= 2 * 60 * 5 + 768


def test_bytes_that_are_no_model_are_refused(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\xff\xff not a model")
    with pytest.raises(NetError, match=r"x\.onnx is no ONNX file"):
        read_model(tmp_path / "x.onnx")


def float_model(*nodes: onnx.NodeProto, shape=(1, 4, 8, 8)) -> onnx.ModelProto:
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, list(shape)) for n in ("x", "y")]
    weight = numpy_helper.from_array(np.zeros((4, 4, 1, 1), np.float32), "w")
    graph = helper.make_graph(list(nodes), "g", info[:1], info[1:], initializer=[weight])
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, ir_version=10))


def checked(tmp_path, *nodes: onnx.NodeProto) -> dict:
    file = tmp_path / "optimized.onnx"
    file.write_bytes(float_model(*nodes).SerializeToString())
    preflight(file, tmp_path, params=PreflightParams(support_of()))
    return json.loads((tmp_path / "preflight.json").read_text())


def test_preflight_is_silent_of_what_the_chip_takes(tmp_path, recwarn):
    record = checked(tmp_path, helper.make_node("Conv", ["x", "w"], ["y"], "c", kernel_shape=[1, 1]))
    assert record == {"chip": "AX650", "nodes": 1, "on_cpu": []}
    assert not [item for item in recwarn if issubclass(item.category, AxWarning)]


def test_preflight_warns_of_each_node_that_a_limit_keeps_off_the_npu(tmp_path, recwarn):
    pool = helper.make_node(
        "AveragePool", ["x"], ["a"], "pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0
    )
    dilated = helper.make_node(
        "MaxPool", ["a"], ["b"], "wide", kernel_shape=[3, 3], pads=[2, 2, 2, 2], dilations=[2, 2]
    )
    record = checked(tmp_path, pool, dilated, helper.make_node("Softsign", ["b"], ["y"], "softsign"))
    assert [str(item.message) for item in recwarn if issubclass(item.category, AxWarning)] == [
        "warning AX406: 'pool' (AveragePool) will run on the CPU, one sample at a time: count_include_pad must be 1 "
        "where pads is not 0, got 0; change that in the float model to keep it on the NPU",
        "warning AX406: 'wide' (MaxPool) will run on the CPU, one sample at a time: dilations must be 1, got 2; "
        "change that in the float model to keep it on the NPU",
    ]
    assert [(row["name"], row["reasons"]) for row in record["on_cpu"]] == [
        ("pool", ["count_include_pad must be 1 where pads is not 0, got 0"]),
        ("wide", ["dilations must be 1, got 2"]),
        ("softsign", ["Softsign has no integer form"]),
    ]


def early(tmp_path, *declared: Declared, **change) -> None:
    file = tmp_path / "optimized.onnx"
    relu = helper.make_node("Relu", ["x"], ["y"], "r")
    file.write_bytes(float_model(relu, shape=change.pop("shape", [1, 3, 8, 8])).SerializeToString())
    processor = replace(PICTURE, **{"tensor_name": "DEFAULT", **change})
    preflight(file, tmp_path, params=PreflightParams(support_of(), (processor,), declared))


def test_preflight_refuses_processors_that_fit_no_input(tmp_path):
    early(tmp_path, Declared("DEFAULT", "NHWC"))
    with pytest.raises(ProcessorError, match="for 'z', which is no input of the model"):
        early(tmp_path, tensor_name="z")
    with pytest.raises(ProcessorError, match="mean has 2 values"):
        early(tmp_path, mean=(1.0, 2.0))
    flat = r"tensor_layout NHWC has no effect: it is for inputs of rank 4, and 'x' is \[1, 20\]"
    with pytest.raises(ProcessorError, match=flat):
        early(tmp_path, Declared("x", "NCHW", "NHWC"), shape=[1, 20], mean=(), std=())
    flat = r"src_layout NHWC has no effect: it is for inputs of rank 4, and 'x' is \[1, 20\]"
    with pytest.raises(ProcessorError, match=flat):
        early(tmp_path, Declared("DEFAULT", "NHWC"), shape=[1, 20], mean=(), std=())


def test_every_operator_that_can_be_quantised_runs_on_some_npu():
    assert set(all_ops()) <= {name for chip in CHIPS.values() for name in chip.operators}
