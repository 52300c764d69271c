"""`axbuild inspect`: the facts of a container, as text and as JSON."""

import json

import pytest

from axbuild.cli.app import run
from axmodel_world import absolute, build


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "compiled.axmodel").write_bytes(build(tmp_path, on_cpu=True))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "compiled.axmodel"


def test_a_compiled_model_is_shown(file, capsys):
    assert run(["inspect", "compiled.axmodel"]) == 0
    lines = capsys.readouterr().out.splitlines()
    size = file.stat().st_size
    assert lines[0] == f"compiled.axmodel: {size:,} bytes, axref/1"
    assert lines[1:5] == [
        "chip        AX650 NPU1",
        "batches     1, 2, 4",
        "inputs      image U8 1x3x2x2 NHWC BGR",
        "outputs     out/put FP32 1x2x3x2",
    ]
    assert lines[5] == "subgraphs   subgraph_npu_0 on the NPU: image -> codes"
    assert lines[6].startswith("                 subgraph_npu_0_b1_neu ")
    assert lines[9].startswith("                 batch 1: estimate ")
    assert lines[9].endswith(" 0.00105 ms; 0 MACs; DDR 536 bytes; OCM 652 of 3,670,016 bytes")
    assert lines[12] == "            subgraph_npu_1 on the NPU: codes -> real"
    assert lines[19:22] == [
        "            subgraph_cpu_0 on the CPU: real -> out/put",
        f"                 subgraph_cpu_0_onnx {len(absolute().SerializeToString())} bytes",
        "parameters  512 bytes",
    ]
    assert lines[22] == "note        a program of axbuild's simulated reference NPU; not for real hardware"
    assert lines[23].startswith("made from   partition/partition.json ")


def test_facts_for_programs(file, capsys):
    assert run(["inspect", "--json", "compiled.axmodel"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == file.stat().st_size
    assert (found["target_hardware"], found["batches"]) == ("AX650", [1, 2, 4])
    assert [(subgraph["name"], subgraph["place"]) for subgraph in found["subgraphs"]] == [
        ("subgraph_npu_0", "NPU"),
        ("subgraph_npu_1", "NPU"),
        ("subgraph_cpu_0", "CPU"),
    ]
    first = found["subgraphs"][0]["programs"]
    assert [program["batch"] for program in first] == [1, 2, 4]
    assert first[0]["ddr_bytes"] == {"ld:input": 12, "ld:param": 512, "st:output": 12}
    assert first[2]["ddr_bytes"] == {"ld:input": 48, "ld:param": 512, "st:output": 48}


def test_a_file_that_is_none_is_refused(tmp_path, capsys):
    (tmp_path / "x.axmodel").write_bytes(b"no model")
    assert run(["inspect", str(tmp_path / "x.axmodel")]) == 2
    assert "error AX480: x.axmodel is not an axmodel" in capsys.readouterr().err
