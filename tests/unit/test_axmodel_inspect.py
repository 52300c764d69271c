"""`axbuild inspect`: the facts of a container, as text and as JSON."""

import json

import pytest

from axbuild.cli.app import run
from axmodel_world import build


@pytest.fixture
def file(tmp_path, monkeypatch):
    (tmp_path / "compiled.axmodel").write_bytes(build(tmp_path))
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
        "outputs     out/put FP32 1x3x2x2",
    ]
    assert lines[5].startswith("subgraphs   subgraph_npu_0: image -> codes; program bytes ")
    assert lines[6].startswith("            subgraph_npu_1: codes -> out/put; program bytes ")
    assert lines[7] == "parameters  512 bytes"
    assert lines[8].startswith("made from   partition/partition.json ")


def test_facts_for_programs(file, capsys):
    assert run(["inspect", "--json", "compiled.axmodel"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == file.stat().st_size
    assert (found["target_hardware"], found["batches"]) == ("AX650", [1, 2, 4])
    assert [subgraph["name"] for subgraph in found["subgraphs"]] == ["subgraph_npu_0", "subgraph_npu_1"]


def test_a_file_that_is_none_is_refused(tmp_path, capsys):
    (tmp_path / "x.axmodel").write_bytes(b"no model")
    assert run(["inspect", str(tmp_path / "x.axmodel")]) == 2
    assert "error AX480: x.axmodel is not an axmodel" in capsys.readouterr().err
