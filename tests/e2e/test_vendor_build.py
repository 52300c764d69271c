"""`axbuild pulsar2 build` as a user types it: what it prints, the tree it leaves, what it runs again."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tune_net import residual_net, samples_with_an_outlier

from axbuild.toolchain.axmodel.read import read
from zoo_workspace import REPOSITORY, Zoo

CONFIG = """
{
  // as a user writes it
  "input": "net.onnx",
  "quant": {
    "input_configs": [
      {"tensor_name": "DEFAULT", "calibration_dataset": "samples.tar", "calibration_format": "Numpy",},
    ],
    "calibration_method": "MSE",
    "layer_configs": [{"op_type": "Add", "data_type": "U16"}, {"layer_name": "head", "data_type": "U16"}],
    "precision_analysis": false
  },
  "op_processors": [{"op_name": "first", "attrs": {"group": 1}}],
  "compiler": {"static_batch_sizes": [1, 2], "check": 1, "npu_perf": true}  # dual batch
}
"""
FLAGS = ("--config", "config.json", "--quant.calibration_method", "MinMax", "--debug.dump_frontend_graph")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder of a user's own, in no workspace."""
    root = tmp_path_factory.mktemp("pulsar2") / "project"
    root.mkdir()
    net = residual_net()
    model = net.model("y")
    model.graph.node[0].name, model.graph.node[-1].name = "first", "head"
    onnx.save(model, root / "net.onnx")
    with tarfile.open(root / "samples.tar", "w") as archive:
        for number, sample in enumerate(samples_with_an_outlier(net)):
            np.save(root / f"{number}.npy", sample)
            archive.add(root / f"{number}.npy", f"{number}.npy")
            (root / f"{number}.npy").unlink()
    (root / "config.json").write_text(CONFIG)
    return Zoo(root, root.parent / "cache")


@pytest.fixture(scope="module")
def built(project):
    done = project.run("pulsar2", "build", *FLAGS, "--output_dir", "out")
    assert done.code == 0, done.err
    return done


def files_of(folder):
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != ".axbuild"}


def executed(folder):
    """Stages that ran in the last build of a work_dir."""
    lines = (folder / ".axbuild/events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [e["stage"] for e in events if e["event"] == "action_finished" and e["status"] == "executed"]


def test_every_stage_is_told_with_the_vendors_words_in_the_vendors_order(built):
    words = [
        "set op [first] attr [group] to 1",
        "apply default output processor configuration to ['y']",
        "extract [samples.tar] to [out/quant/dataset/DEFAULT]...",
        "8 File(s) Loaded.",
        "OnnxModel",
        "save optimized onnx to [out/frontend/optimized.onnx]",
        "Quant Config Table",
        "Layer Config Table",
        "Transformer optimize level: 0",
        "AX Set MixPrecision Pass Running ...",
        "AX Runtime Calibration Pass Running ...",
        "Calibration Progress(Phase 1): 8 samples",
        "AX Quantization Alignment Pass Running ...",
        "AX Refine Scale Pass Running ...",
        "AX Passive Parameter Quantization Pass Running ...",
        "AX Parameter Baking Pass Running ...",
        "Network Snapshot",
        "Quantization Snapshot",
        "Network Quantization Finished.",
        "Do quant optimization",
        "quant.axmodel export success: [out/quant/quant_axmodel.onnx]",
        "export io data to folder: [out/quant/debug/io]",
        "group 0 compiler transformation",
        "preprocess tensor [x]",
        "postprocess tensor [y]",
        "group 0 QuantAxModel macs: 100,864",
        "subgraph [0], group: 0, type: GraphType.NPU",
        "compile npu subgraph [0] b1",
        "tiling op...",
        "build op...",
        "add ddr swap...",
        "calc input dependencies...",
        "assign eu...",
        "max_cycle = ",
        "build jobs...",
        "assemble model [0] [subgraph_npu_0] b1",
        "assemble model [0] [subgraph_npu_0] b2",
        "SUCCESS | check [y], (1, 10, 8, 8), float32 successfully! (level close)",
        "graph [subgraph_npu_0] batchs [1, 2]",
        "fuse 1 subgraph(s)",
    ]
    at = [built.out.find(word) for word in words]
    assert [word for word, place in zip(words, at, strict=True) if place < 0] == []
    assert at == sorted(at)


def test_states_of_the_snapshot_add_up_to_the_records(project, built):
    shown = built.out.partition("Quantization Snapshot")[2].partition("Finished")[0]
    counts = {name: int(count) for name, count in re.findall(r"^([\w ]+): +\[(\d+)\]", shown, re.MULTILINE)}
    total = counts.pop("Num of Quant Config")
    records = json.loads((project.root / "out/quant/quant_axmodel.json").read_text())
    assert sum(counts.values()) == total == sum(map(len, records.values()))


def test_tables_say_what_the_configuration_says(built):
    rows = [re.split(r" *\| *", line.strip("| ")) for line in built.out.splitlines() if line.startswith("|")]
    assert ["x", "(1, 3, 8, 8)", "out/quant/dataset/DEFAULT", "Numpy", "AutoColorSpace", "[]", "[]"] in rows
    assert ["Add", "U16"] in rows
    assert ["head", "U16"] in rows
    assert ["IN", "x", "float32: (1, 3, 8, 8)"] in rows
    assert ["OPS", "Add", "1"] in rows


def test_the_vendors_tree_is_left_in_output_dir(project, built):
    found = files_of(project.root / "out")
    assert {
        "compiled.axmodel",
        "build_context.json",
        "frontend/optimized.onnx",
        "frontend/optimzied_quant_axmodel.onnx",
        "quant/quant_axmodel.onnx",
        "quant/quant_axmodel.json",
        "quant/dataset/DEFAULT/0.npy",
        "quant/debug/io/float/x.npy",
        "quant/debug/io/float/y.npy",
        "quant/debug/io/quant/x.npy",
        "quant/debug/io/quant/y.npy",
        "compiler/debug/subgraph_npu_0/b1/trace.json",
        "compiler/debug/subgraph_npu_0/b2/report.json",
    } <= found
    assert len([name for name in found if name.startswith("quant/dataset/")]) == 8
    container = read((project.root / "out/compiled.axmodel").read_bytes())
    assert (container.npu_mode, container.batches()) == ("NPU1", (1, 2))


def test_what_both_models_give_for_the_first_sample_stands_beside_them(project, built):
    out = project.root / "out"
    with tarfile.open(project.root / "samples.tar") as archive:
        sample = np.load(io.BytesIO(archive.extractfile("0.npy").read()))
    for side, model in (("float", "frontend/optimized.onnx"), ("quant", "quant/quant_axmodel.onnx")):
        (answer,) = ort.InferenceSession(out / model).run(None, {"x": sample})
        np.testing.assert_array_equal(np.load(out / f"quant/debug/io/{side}/x.npy"), sample)
        np.testing.assert_allclose(np.load(out / f"quant/debug/io/{side}/y.npy"), answer, rtol=1e-6, atol=1e-6)


def test_a_flag_counts_over_the_file_and_the_result_says_so(project, built):
    context = json.loads((project.root / "out/build_context.json").read_text())
    assert context["quant"]["calibration_method"] == "MinMax"
    assert context["npu_mode"] == "NPU1"
    assert 'method = "MinMax"' in (project.root / "out/.axbuild/BUILD.toml").read_text()


def test_the_resolved_configuration_fed_back_gives_the_same_and_runs_nothing(project, built):
    before = (project.root / "out/compiled.axmodel").read_bytes()
    done = project.run("pulsar2", "build", "--config", "out/build_context.json", "--output_dir", "again")
    assert (done.code, executed(project.root / "again")) == (0, [])
    assert (project.root / "again/compiled.axmodel").read_bytes() == before
    first, second = (json.loads((project.root / at / "build_context.json").read_text()) for at in ("out", "again"))
    assert first | {"output_dir": "again"} == second
    assert lines_of(done.out.replace("again", "out")) == lines_of(built.out)


def lines_of(shown):
    """But those of tables, whose widths follow paths, and the last one, which counts actions and seconds."""
    return [line for line in shown.splitlines()[:-1] if not line.startswith(("|", "+", " "))]


def test_a_tolerance_runs_the_comparison_alone_and_another_name_moves_the_file(project, built):
    flags = ("--compiler.check_rtol", "1e-3", "--output_name", "x.axmodel", "--work_dir", "work")
    done = project.run("pulsar2", "build", *FLAGS, "--output_dir", "moved", *flags)
    assert (done.code, executed(project.root / "work")) == (0, ["compare"])
    found = files_of(project.root / "moved")
    assert "x.axmodel" in found
    assert "compiled.axmodel" not in found
    assert not (project.root / "moved/.axbuild").exists()


def test_what_an_earlier_build_left_goes_and_what_is_not_ours_stays(project, built):
    flags = ("build", *FLAGS, "--output_dir", "stale")
    assert project.run("pulsar2", *flags).code == 0
    own = project.root / "stale/compiler/debug/own.txt"
    own.write_text("mine")
    assert project.run("pulsar2", *flags, "--output_name", "y.axmodel", "--compiler.npu_perf", "false").code == 0
    found = files_of(project.root / "stale")
    assert {"y.axmodel", "compiler/debug/own.txt"} <= found
    assert found.isdisjoint({"compiled.axmodel", "compiler/debug/subgraph_npu_0/b1/trace.json"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--output_dir", "bad"], "--input is missing"),
        (["--input", "net.onnx"], "--output_dir is missing"),
        (["--config", "none.json", "--output_dir", "bad"], "none.json"),
        (["--config", "config.json", "--output_dir", "bad", "--input", "nte.onnx"], "did you mean 'net.onnx'?"),
        (["--config", "config.json", "--output_dir", "bad", "--inptu", "x"], "did you mean '--input'?"),
        (["--config", "config.json", "--output_dir", "bad", "--npu_mode", "NPU4"], "NPU4"),
        (["--config", "config.json", "--output_dir", "bad", "--input", "samples.tar"], "samples.tar"),
        (["--config", "config.json", "--output_dir", "net.onnx/bad"], "net.onnx"),
    ],
)
def test_what_cannot_be_built_exits_2_and_writes_nothing(project, built, arguments, told):
    done = project.run("pulsar2", "build", *arguments)
    assert done.code == 2, done.out + done.err
    assert told in done.out + done.err
    assert not (project.root / "bad").exists()


def state_of(folder):
    """Every file and link below a folder: content, or what it leads to."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"layer_name": "head"', '"layer_name": "haed"', "did you mean head"),
        ('"check": 1', '"sub_configs": [{"start_tensor_names": ["x"], "end_tensor_names": ["?"]}]', "no tensor '?'"),
    ],
)
def test_what_cannot_be_built_leaves_an_earlier_build_as_it_was(project, built, old, new, told):
    (project.root / "wrong.json").write_text(CONFIG.replace(old, new).replace("samples.tar", "./samples.tar"))
    before = state_of(project.root / "out")
    assert {".axbuild/BUILD.toml", ".axbuild/inputs/model/net.onnx"} <= before.keys()
    done = project.run("pulsar2", "build", "--config", "wrong.json", "--output_dir", "out")
    assert done.code == 2, done.out + done.err
    assert told in done.out + done.err
    assert state_of(project.root / "out") == before


def test_a_failed_check_exits_1_and_leaves_what_an_earlier_build_gave(project, built):
    flags = (*FLAGS, "--output_dir", "failing", "--compiler.check_tensor_black_list", ".*")
    done = project.run("pulsar2", "build", *flags)
    assert done.code == 1
    assert "tensor_black_list leaves no tensor to compare" in done.out
    assert files_of(project.root / "failing") == set()


def test_the_hidden_workspace_is_an_ordinary_one(project, built):
    there = Zoo(project.root / "out/.axbuild", project.root.parent / "cache")
    done = there.run("build", "//:model")
    assert (done.code, done.executed) == (0, [])


def test_help_lists_flags(project):
    done = project.run("pulsar2", "build", "-h")
    assert done.code == 0
    assert "--quant.calibration_method" in done.out


def test_the_guides_file_of_two_lines_lets_scripts_run_as_they_are(project, tmp_path):
    lines = (REPOSITORY / "docs/guide/pulsar2.md").read_text().partition("```sh\n")[2].partition("```")[0]
    tools = Path(sys.executable).parent
    (tmp_path / ".local/bin").mkdir(parents=True)
    environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}/.local/bin:{tools}:/usr/bin:/bin"}
    subprocess.run(["sh", "-e", "-c", lines], env=environment, check=True)
    done = subprocess.run(["pulsar2", "version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("version: ")


def test_precision_analysis_prints_its_table_and_runs_behind_what_is_built(project, built):
    flags = ("--quant.precision_analysis", "1", "--quant.precision_analysis_method", "EndToEnd")
    done = project.run("pulsar2", "build", *FLAGS, "--output_dir", "analysed", *flags)
    assert done.code == 0, done.err
    assert {"quantize", "compile_subgraph", "fuse"}.isdisjoint(executed(project.root / "analysed"))
    table = (project.root / "analysed/quant/debug/precision_analysis_table.txt").read_text()
    assert table in done.out
    assert "Quant Precision Table【EndToEnd Reference】" in table
    words = ["save precision analysis table to [", "save precision analysis graph to [", "preprocess tensor"]
    assert sorted(words, key=done.out.find) == words
