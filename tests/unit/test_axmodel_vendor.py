"""`axbuild inspect` of compiled models of the vendor's toolchain, made here by what is public of their containers."""

from __future__ import annotations

import base64
import json
import random

import pytest
from onnx import TensorProto, helper

from axbuild.cli.app import run
from axbuild.errors import AxError
from axbuild.toolchain.axmodel import vendor, wire
from axbuild.toolchain.axmodel.read import ForeignError, parsed, read

CHIPS = {0: "AX650", 1: "AX620E"}


def _set(number, value):
    return [(number, value)] if value else []


def extra(chip=0, mode=0, io=(("input", 1, 2), ("output", 0, 0))):
    """The message in `extra_data`; zeros are left out, as protobuf does."""
    message = [
        (1, wire.encode([(1, name), *((n, v) for n, v in ((2, layout), (3, color)) if v)]))
        for name, layout, color in io
    ]
    message += [(2, "1"), (4, wire.encode(_set(3, mode))), *_set(5, chip)]
    return base64.b64encode(wire.encode(message)).decode()


def info(name, batches=(1,)):
    """`npu_graph_info` of a subgraph."""
    reads = [
        {"name": "params", "type": "DotNeuInputConst", "const_data_key": "npu_params"},
        {"name": "dyn_params", "type": "DotNeuInputDynParam", "dyn_param_expr_key": "npu_dyn_params"},
    ]
    units = [{"neu_key": f"{name}_b{batch}_neu", "batch": batch, "extra_inputs": reads} for batch in batches]
    return json.dumps({"name": name, "type": "NPUDotNeu", "dotneus": units})


def subgraph(name, reads, writes, batches=(1,), **attributes):
    known = {"neu_name": name, "npu_graph_info": info(name, batches), "outputs_info": "{}", "version": 1} | attributes
    known = {key: value for key, value in known.items() if value is not None}
    return helper.make_node("neu mode", reads, writes, name=name, **known)


def file_of(nodes, blobs, *, inputs=("input",), outputs=("output",), meta=None):
    value, u8, f32 = helper.make_tensor_value_info, TensorProto.UINT8, TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "main",
        [value(name, u8, [1, 224, 224, 3]) for name in inputs],
        [value(name, f32, [1, 1000]) for name in outputs],
        [helper.make_tensor(name, u8, [len(blob)], blob, raw=True) for name, blob in blobs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.producer_name, model.doc_string = "Pulsar2", "4.0\n1a2b3c"
    model.metadata_props.add(key="extra_data", value=extra() if meta is None else meta)
    return model


BLOBS = {"npu_params": b"p" * 300, "npu_dyn_params": b"", "subgraph_npu_0_b1_neu": b"SECRET" * 10}


def mobilenet():
    return file_of([subgraph("subgraph_npu_0", ["input"], ["output"])], BLOBS)


def test_a_vendors_file_shows_its_container_and_never_its_programs(tmp_path, capsys):
    (tmp_path / "v.axmodel").write_bytes(mobilenet().SerializeToString())
    assert run(["inspect", str(tmp_path / "v.axmodel")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"v.axmodel: {(tmp_path / 'v.axmodel').stat().st_size:,} bytes, compiled by Pulsar2, 4.0, 1a2b3c",
        "note        for the hardware itself: axbuild shows what it says of itself, and does not run it",
        "onnx        IR 10, opset 18",
        "chip        AX650 NPU1",
        "groups      1",
        "inputs      input UINT8 1x224x224x3 NHWC BGR",
        "outputs     output FLOAT 1x1000",
        "subgraphs   subgraph_npu_0, group 0, batches 1: input -> output",
        "holds       npu_params 300 bytes",
        "            npu_dyn_params 0 bytes",
        "            subgraph_npu_0_b1_neu 60 bytes",
        "provenance  no cache of a workspace around here remembers how this file was made",
    ]
    assert run(["inspect", "--json", str(tmp_path / "v.axmodel")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["subgraphs"][0]["programs"] == {"subgraph_npu_0_b1_neu": 60}
    assert found["subgraphs"][0]["constants"] == {"npu_params": 300, "npu_dyn_params": 0}
    assert "SECRET" not in json.dumps(found)


def test_it_still_does_not_run():
    with pytest.raises(ForeignError, match="was compiled by Pulsar2 for the hardware itself"):
        read(mobilenet().SerializeToString(), "v.axmodel")


def test_groups_batches_chips_and_modes():
    nodes = [
        subgraph("subgraph_npu_0", ["data"], ["mid"], (1, 2, 4)),
        helper.make_node("Softmax", ["mid"], ["prob"], name="softmax"),
        subgraph("subgraph_npu_1", ["data_1"], ["prob_1"]),
    ]
    model = file_of(
        nodes, {}, inputs=("data", "data_1"), outputs=("prob", "prob_1"), meta=extra(1, 1, [("data_1", 2, 6)])
    )
    found = vendor.facts(model, CHIPS)
    assert (found["target_hardware"], found["npu_mode"], found["groups"]) == ("AX620E", "NPU2", 2)
    assert [(one["name"], one["group"], one["batches"]) for one in found["subgraphs"]] == [
        ("subgraph_npu_0", 0, [1, 2, 4]),
        ("subgraph_npu_1", 1, [1]),
    ]
    assert found["cpu_nodes"] == {"Softmax": 1}
    assert [(one["name"], one["layout"], one["color"]) for one in found["inputs"]] == [
        ("data", "", ""),
        ("data_1", "NCHW", "YUV420SP"),
    ]
    assert "subgraph_npu_1_b1_neu" in found["subgraphs"][1]["missing"]
    assert vendor.facts(file_of([], {}, meta=extra(77, 9)), CHIPS)["target_hardware"] == "chip number 77"


def test_old_files_are_read_by_their_names():
    """Up to release 1.9: no JSON, programs called `_data`."""
    blobs = {"npu_0_params": b"p" * 7, "npu_0_b1_data": b"d" * 5, "npu_0_b2_data": b"d" * 6, "npu_0_b1_other": b""}
    node = subgraph("npu_0", ["input"], ["output"], npu_graph_info=None, neu_name=None)
    (found,) = vendor.facts(file_of([node], blobs), CHIPS)["subgraphs"]
    assert (found["batches"], found["programs"]) == ([1, 2], {"npu_0_b1_data": 5, "npu_0_b2_data": 6})
    assert found["constants"] == {"npu_0_params": 7}


def test_names_are_escaped_and_cut():
    hostile = "a\x1b[2J\n" + "x" * 500
    model = file_of([subgraph(hostile, ["input"], ["output"])], {})
    shown = "\n".join(vendor.lines({"file": "v", "bytes": 1} | vendor.facts(model, CHIPS)))
    assert "\\x1b[2J\\n" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 400


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (lambda: file_of([subgraph("n", ["input"], ["output"], npu_graph_info="{")], {}), "npu_graph_info of a node"),
        (lambda: file_of([subgraph("n", ["input"], ["output"], npu_graph_info="[" * 9999)], {}), "npu_graph_info of a"),
        (lambda: file_of([subgraph("n", ["input"], ["output"], npu_graph_info='{"dotneus": [{"batch": "1"}]}')], {}),
         "npu_graph_info of a node"),
        (lambda: file_of([subgraph("n", ["input"], ["output"], npu_graph_info='{"dotneus": 3}')], {}),
         "npu_graph_info of a node"),
        (lambda: file_of([subgraph("n", ["input"], ["output"], npu_graph_info=
                                   '{"dotneus": [{"batch": 1, "neu_key": "k", "extra_inputs": ["x"]}]}')], {}),
         "npu_graph_info of a node"),
        (lambda: file_of([], {}, meta="!!"), "its extra_data cannot be read"),
        (lambda: file_of([], {}, meta=base64.b64encode(b"\x0a\xff\x01a").decode()), "its extra_data cannot be read"),
        (lambda: file_of([], {}, meta=base64.b64encode(b"\x0a\x02\x0a\x00\x08\x05").decode()),
         "its extra_data cannot be read"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_an_error(model, fault):
    with pytest.raises(vendor.VendorFileError) as raised:
        vendor.facts(model(), CHIPS)
    assert raised.value.code == "AX480"
    assert raised.value.sentence.startswith(f"the file is damaged: {fault}")


def test_damage_anywhere_ends_in_facts_or_an_error():
    content = mobilenet().SerializeToString()
    dice, shown, codes = random.Random(0), 0, []
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            found = vendor.facts(parsed(bytes(damaged), "v.axmodel"), CHIPS)
            assert list(vendor.lines({"file": "v.axmodel", "bytes": 1} | found))
            shown += 1
        except AxError as error:
            codes.append(error.code)
    assert min(shown, len(codes)) > 50
    assert set(codes) == {"AX480"}
