"""A model that runs in part on the CPU, through the command line: what is said, checked, and run again by an edit."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

import axbuild
from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Zoo

BUILD = f"{QUANT}{AXMODEL}static_batch_sizes = [1, 2]\n{CHECK}"
SAID = "1 of 5 operators on the CPU of AX650: 'softsign' (Softsign): Softsign has no integer form"


def softsign_inside(*, last: str = "Softsign") -> onnx.ModelProto:
    """Conv, an operator without an integer form, Conv; another Conv beside them; joined by an Add."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (6, 3, 3, 3), "w2": (4, 6, 1, 1), "w3": (4, 3, 1, 1)}
    weights = [numpy_helper.from_array(rng.normal(0, 0.4, s).astype(np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node(last, ["a"], ["e"], "softsign"),
        helper.make_node("Conv", ["e", "w2"], ["b"], "second"),
        helper.make_node("Conv", ["x", "w3"], ["c"], "beside"),
        helper.make_node("Add", ["b", "c"], ["y"], "join"),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, c, 6, 6]) for n, c in (("x", 3), ("y", 4)))
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    root = tmp_path_factory.mktemp("mixed") / "workspace"
    rng = np.random.default_rng(1)
    samples = (rng.standard_normal((1, 3, 6, 6), dtype=np.float32) for _ in range(5))
    zoo = net_workspace(root, BUILD, softsign_inside(), samples)
    zoo.build("//m:check", "//m:axmodel")
    return zoo


def test_the_check_holds_every_npu_subgraph_against_stored_borders(mixed: Zoo) -> None:
    outcome = mixed.run("build", "//m:check")
    verdict = json.loads((mixed.root / "axbuild-out/m/check/verdict.json").read_text())
    assert outcome.code == 0
    assert (verdict["passed"], verdict["samples"], verdict["differing"]) == (True, 5, 0)
    assert sum(row["elements"] for row in verdict["outputs"].values()) == 5 * (6 * 36 + 4 * 36 + 4 * 36)


def test_what_runs_on_the_cpu_is_said_on_every_build_and_handed_over(mixed: Zoo) -> None:
    for _ in range(2):
        outcome = mixed.run("build", "//m:axmodel")
        assert SAID in outcome.out + outcome.err
    record = json.loads((mixed.root / "axbuild-out/m/axmodel/compiler/partition.json").read_text())
    assert [(item["name"], item["place"]) for item in record["subgraphs"]] == [
        ("subgraph_npu_0", "NPU"),
        ("subgraph_cpu_0", "CPU"),
        ("subgraph_npu_1", "NPU"),
    ]
    assert record["subgraphs"][1]["nodes"] == [
        {"name": "softsign", "op_type": "Softsign", "nodes": ["softsign"], "reasons": ["Softsign has no integer form"]}
    ]


def test_a_changed_level_executes_only_the_comparison(mixed: Zoo) -> None:
    with mixed.edited("m/BUILD.toml", 'level = "equal"', 'level = "close"\nrtol = 1e-4'):
        assert mixed.build("//m:check").executed == ["compare"]


def test_a_batch_more_compiles_it_and_reruns_no_reference(mixed: Zoo) -> None:
    with mixed.edited("m/BUILD.toml", "[1, 2]", "[1, 2, 4]"):
        executed = mixed.build("//m:check").executed
    assert sorted(executed) == ["answers", "compile_subgraph", "compile_subgraph", "fuse", "simulate_parts", "split"]


def test_another_operator_on_the_cpu_compiles_no_npu_subgraph_again(mixed: Zoo) -> None:
    content = softsign_inside(last="Atan").SerializeToString()
    with mixed.replaced("m/net.onnx", content):
        outcome = mixed.build("//m:check")
    assert "follow" in outcome.executed
    first = [event for event in outcome.finished("executed") if event["action"].endswith("compile_0_b1")]
    assert first == []


def test_the_session_answers_as_onnxruntime_does_within_the_steps_of_the_codes(mixed: Zoo) -> None:
    session = axbuild.InferenceSession(mixed.root / "axbuild-out/m/axmodel/compiled.axmodel")
    sample = np.load(mixed.root / "m/samples/0.npy")
    (found,) = session.run(None, {"x": sample})
    (expected,) = onnx.reference.ReferenceEvaluator(softsign_inside()).run(None, {"x": sample})
    error, power = np.square(found - expected).mean(), np.square(expected).mean()
    assert 10 * np.log10(power / error) > 25


def test_a_check_layer_by_layer_judges_what_is_inside_and_leaves_out_what_it_is_told_to(mixed: Zoo) -> None:
    layers = CHECK + 'mode = "CheckPerLayer"\n'
    with mixed.edited("m/BUILD.toml", CHECK, layers):
        mixed.build("//m:check")
        verdict = json.loads((mixed.root / "axbuild-out/m/check/verdict.json").read_text())
    with mixed.edited("m/BUILD.toml", CHECK, layers + 'tensor_black_list = ["x/.*", "Nothing"]\n'):
        outcome = mixed.build("//m:check")
        shorter = json.loads((mixed.root / "axbuild-out/m/check/verdict.json").read_text())
    assert verdict["passed"] is shorter["passed"] is True
    assert {"x/codes"} == verdict["outputs"].keys() - shorter["outputs"].keys()
    assert outcome.executed == ["compare"]
    assert any("'Nothing' matches no tensor that is compared" in e.get("sentence", "") for e in outcome.events)


def test_a_pattern_that_is_none_is_an_error_in_the_build_file(mixed: Zoo) -> None:
    with mixed.edited("m/BUILD.toml", CHECK, CHECK + 'tensor_black_list = ["*"]\n'):
        outcome = mixed.run("build", "//m:check")
    assert outcome.code == 2
    assert "AX106" in outcome.err
    assert "'*' is no regular expression: nothing to repeat" in outcome.err
