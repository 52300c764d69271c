"""A part of a model with options and a check of its own, and what an edit of each thing then runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from quantised import Net

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Outcome, Zoo

PART = 'sub_configs = [{ start_tensor_names = ["a"], end_tensor_names = ["s"], check = 1, check_rtol = 1e-5 }]\n'


def net() -> Net:
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.conv("a", "b", 4, 4)
    n.add("HardSwish", ["b"], "h")
    n.conv("h", "c", 4, 4)
    n.add("Add", ["c", "a"], "s")
    n.conv("s", "y", 4, 4)
    return n


@pytest.fixture
def workspace(tmp_path) -> Zoo:
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(2)]
    build = QUANT + "layer_configs = []\n" + AXMODEL + "static_batch_sizes = [1]\n" + PART + CHECK
    return net_workspace(tmp_path / "workspace", build, net().model("y"), samples)


OWN = ", static_batch_sizes = [2], enable_data_soft_compression = true }]"


def answers(workspace: Zoo, samples: np.ndarray, folder: str) -> list[np.ndarray]:
    """What `axbuild run` writes for the samples of one file, in their order."""
    np.save(workspace.root / f"{folder}.npy", samples)
    model = "axbuild-out/m/axmodel/compiled.axmodel"
    done = workspace.run("run", model, "--input", f"{folder}.npy", "--output_dir", folder)
    assert done.code == 0, done.err
    files = sorted((workspace.root / folder).rglob("y.npy"))
    assert len(files) == len(samples)
    return [np.load(file) for file in files]


def test_a_part_with_batches_of_its_own_answers_as_samples_one_by_one(workspace):
    build = workspace.root / "m/BUILD.toml"
    plain = build.read_text().replace(", check = 1, check_rtol = 1e-5", "")
    build.write_text(plain)
    assert workspace.build("//m:axmodel").code == 0
    samples = np.random.default_rng(1).standard_normal((5, 3, 8, 8), dtype=np.float32)
    alone = answers(workspace, samples, "alone")

    build.write_text(plain.replace(" }]", OWN))
    done = workspace.build("//m:axmodel")
    assert done.code == 0, done.out + done.err
    assert sorted(e["action"] for e in done.finished("executed") if "compile" in e["action"]) == ["split/compile_1_b2"]
    assert "fuse" in {event["action"] for event in done.finished("executed")}
    assert not any(
        event["action"].startswith(("observe", "quantize", "partition")) for event in done.finished("executed")
    )
    assert workspace.run("test", "//m:check").code == 0
    together = answers(workspace, samples, "together")
    assert [one.tobytes() for one in together] == [one.tobytes() for one in alone]
    programs = {
        path.parent.name: path.name for path in (workspace.root / "axbuild-out/m/axmodel/compiler").glob("*/b*")
    }
    assert programs == {"subgraph_npu_0": "b1", "subgraph_npu_1": "b2", "subgraph_npu_2": "b1"}
    shown = workspace.run("inspect", "axbuild-out/m/axmodel/compiled.axmodel").out
    packed = [line for line in shown.splitlines() if "in the file" in line]
    assert [line.split()[0] for line in packed] == ["subgraph_npu_1_b2_neu", "apart"]


PATTERNS = """compiler_group_patterns = [
  { nodes = [{ types = ["Conv"] }, { types = ["HardSwish"] }, { types = ["Conv"] }], type = "Slice" },
  { nodes = [{ types = ["Conv"], properties = { group = 7 } }] },
]
"""


def test_operators_that_a_pattern_finds_are_compiled_again_and_answer_the_same(workspace):
    build = workspace.root / "m/BUILD.toml"
    build.write_text(build.read_text().replace(", check = 1, check_rtol = 1e-5", ""))
    before = {event["action"] for event in workspace.build("//m:axmodel").finished("executed")}
    assert "split/compile_1_b1" in before
    build.write_text(build.read_text().replace("sub_configs", PATTERNS + "sub_configs"))
    done = workspace.build("//m:axmodel")
    assert ran(done) == ["fuse", "partition", "split", "split/compile_1_b1"]
    said = [event["sentence"] for event in done.events if event["event"] == "diagnostic" and event["code"] == "AX595"]
    assert said == ["compiler_group_patterns[1] matches no operators"]
    report = workspace.root / "axbuild-out/m/axmodel/compiler/subgraph_npu_1/b1/report.json"
    assert [step["name"] for step in json.loads(report.read_text())["schedule"]] == ["start", "groups"]
    check = workspace.run("test", "//m:check")
    (verdict,) = [event for event in check.events if event["event"] == "test_result"]
    assert (verdict["passed"], verdict["sentence"].endswith("equal bit for bit")) == (True, True)


def ran(outcome: Outcome) -> list[str]:
    return sorted(event["action"] for event in outcome.finished("executed") if event["label"] == "//m:axmodel")


def test_what_an_edit_of_a_part_runs(workspace):
    first = workspace.run("test", "//m:axmodel", "//m:check")
    assert first.code == 0, first.out + first.err
    assert [name for name in ran(first) if "compile" in name] == [f"split/compile_{n}_b1" for n in range(3)]
    assert {event["label"]: event["sentence"] for event in first.events if event["event"] == "test_result"} == {
        "//m:axmodel": "sub_configs[0]: 512 elements of 's' (uint8 [1, 4, 8, 8]) on 2 samples: equal bit for bit",
        "//m:check": "1024 elements of 2 outputs on 2 samples: equal bit for bit",
    }
    partition = json.loads((workspace.root / "axbuild-out/m/axmodel/compiler/partition.json").read_text())
    borders = [(one["inputs"], one["outputs"]) for one in partition["subgraphs"]]
    assert borders == [(["x"], ["a"]), (["a"], ["s"]), (["s"], ["y"])]

    with workspace.edited("m/BUILD.toml", "check_rtol = 1e-5", "check_rtol = 1e-4"):
        assert ran(workspace.build("//m:axmodel")) == ["compare_sub_config_0"]
    with workspace.edited("m/BUILD.toml", "sizes = [1]", "sizes = [1, 2]"):
        compiled = [name for name in ran(workspace.build("//m:axmodel")) if "compile" in name]
        assert compiled == [f"split/compile_{n}_b2" for n in range(3)]
    with workspace.edited("m/BUILD.toml", "[]\n", '[{ layer_name = "c", data_type = "U16" }]\n'):
        assert [name for name in ran(workspace.build("//m:axmodel")) if "compile" in name] == ["split/compile_1_b1"]
