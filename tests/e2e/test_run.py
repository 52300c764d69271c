"""`axbuild run //m:axmodel`: built first where it is not up to date, then run on the user's files."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from tune_net import residual_net, samples_with_an_outlier

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace

MODEL = "axbuild-out/m/axmodel/compiled.axmodel"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    net = residual_net()
    samples = samples_with_an_outlier(net)
    build = QUANT + AXMODEL + CHECK
    return net_workspace(tmp_path_factory.mktemp("run") / "workspace", build, net.model("y"), samples)


def test_a_target_is_built_and_answers_as_its_quantised_model_does(zoo):
    done = zoo.run("run", "//m:axmodel", "--input", "m/samples", "--output_dir", "out", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["count"] == len(list((zoo.root / "m/samples").iterdir()))
    assert "fuse" in done.err
    session = onnxruntime.InferenceSession(zoo.root / "axbuild-out/m/axmodel/quant/quant_axmodel.onnx")
    for sample in found["samples"]:
        feed = {session.get_inputs()[0].name: np.load(zoo.root / f"m/samples/{sample['name']}.npy")}
        assert np.array_equal(np.load(zoo.root / f"out/{sample['name']}/y.npy"), session.run(None, feed)[0])


def test_a_target_and_its_file_give_the_same_lines(zoo):
    by_target, by_file = (zoo.run("run", model, "--input", "m/samples/0.npy") for model in ("//m:axmodel", MODEL))
    assert by_target.code == by_file.code == 0
    assert by_target.out.splitlines()[:-1] == by_file.out.splitlines()[:-1] != []


def test_layers_have_the_names_of_the_quantised_model(zoo):

    done = zoo.run("run", MODEL, "--input", "m/samples/0.npy", "--output_dir", "layers", "--layers")
    assert done.code == 0, done.err
    model = onnx.load(zoo.root / "axbuild-out/m/axmodel/quant/quant_axmodel.onnx")
    made = {name for node in model.graph.node for name in node.output}
    written = {path.stem for path in (zoo.root / "layers/0").iterdir()}
    assert len(written) > 3
    assert written <= {"".join(c if c.isalnum() or c in "_-" else "_" for c in name) for name in made}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("//m:check", "'//m:check' names //m:check (check), and what runs is one axmodel"),
        ("//m:all", "what runs is one axmodel"),
        ("//m:axmodle", "there is no target //m:axmodle"),
        ("nothing", "there is no file 'nothing'"),
    ],
)
def test_what_cannot_run_is_refused(zoo, model, said):
    done = zoo.run("run", model, "--input", "m/samples")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_where_the_time_goes_is_one_more_action_and_compiles_nothing_again(zoo):
    zoo.build("//m:axmodel")
    with zoo.edited("m/BUILD.toml", AXMODEL, AXMODEL + "npu_perf = true\n"):
        outcome = zoo.build("//m:axmodel")
    assert outcome.executed == ["profile"]
    folder = zoo.root / "axbuild-out/m/axmodel/compiler/debug/subgraph_npu_0/b1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "op_profile.csv",
        "profile.html",
        "summary.json",
        "trace.json",
    ]
    report = json.loads((folder.parents[2] / "subgraph_npu_0/b1/report.json").read_text())
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert round(max(event["ts"] + event["dur"] for event in events) * 1000) == report["max_cycle"]
    made = (folder / "op_profile.csv").read_text()
    model = onnx.load(zoo.root / "axbuild-out/m/axmodel/quant/quant_axmodel.onnx")
    assert all(
        row.split(",")[2] in {n for node in model.graph.node for n in node.output} for row in made.splitlines()[2:]
    )


def test_dynamic_batches_share_their_compilations_with_static_ones(zoo):
    with zoo.edited("m/BUILD.toml", AXMODEL, AXMODEL + "max_dynamic_batch_size = 5\n"):
        zoo.build("//m:axmodel")
        dynamic = json.loads(zoo.run("inspect", MODEL, "--json").out)
        answers = zoo.run("run", "//m:axmodel", "--input", "m/samples", "--batch_size", "7", "--json")
    assert dynamic["batches"] == [1, 2, 4]
    assert json.loads(answers.out)["batches"][0] == 4
    with zoo.edited("m/BUILD.toml", AXMODEL, AXMODEL + "static_batch_sizes = [1, 2, 4]\n"):
        outcome = zoo.build("//m:axmodel")
        static = json.loads(zoo.run("inspect", MODEL, "--json").out)
    assert outcome.executed == ["split", "fuse"]
    assert static["parameter_bytes"] == dynamic["parameter_bytes"]
    assert static["subgraphs"] == dynamic["subgraphs"]
