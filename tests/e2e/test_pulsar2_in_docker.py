"""A real Pulsar2 in docker, both played by stand-ins: what a container sees, what runs again, how it fails and ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from net_workspace import AXMODEL, QUANT
from pulsar2_world import relu_workspace
from zoo_workspace import REPOSITORY

DIGEST = "sha256:" + "5" * 64
BUILD = (
    QUANT.replace('src = "net.onnx"', 'src = "net.onnx"\ninput_shapes = { x = [1, 3, 8, 8] }')
    .replace("size = -1", "size = 2")
    .replace('calibration = ":calib"', 'calibration = { x = ":calib" }')
    + """
method = "MSE"
layer_configs = [{ op_types = ["Relu"], data_type = "U16" }]
toolchain = "pulsar2"
"""
    + AXMODEL
    + """
target_hardware = "AX620E"
npu_mode = "NPU2"
static_batch_sizes = [1, 2]
ddr_bw_limit = 4.0
output_processors = [{ dst_perm = [0, 2, 3, 1] }]

[[axmodel.sub_configs]]
start_tensor_names = ["a"]
end_tensor_names = ["b"]
check = 3
check_cosine = 0.9
input_sample_dir = "samples"
"""
)


GIVEN = (["dataset0.tar", "model", "config.json"], ["quant", "samples0", "dataset1.tar", "config.json"])


class Docked:
    """A workspace whose Pulsar2 is an image, and the folder of its docker."""

    def __init__(self, root: Path) -> None:
        self.zoo = relu_workspace(root / "ws", BUILD, '"docker:vendor:5"')
        self.docker = root / "docker"
        self.docker.mkdir()
        (self.docker / "image").write_text(DIGEST)
        self._script("docker", REPOSITORY / "tests/docker_standin.py", self.docker)
        self.zoo.environment["PATH"] = f"{self.docker}:{os.environ['PATH']}"
        self.pulsar2()

    def pulsar2(self, *options: object) -> None:
        self._script("pulsar2", REPOSITORY / "tests/pulsar2_standin.py", "--light", *options)

    def _script(self, name: str, *words: object) -> None:
        script = self.docker / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, (sys.executable, *words)))} "$@"\n')
        script.chmod(0o755)

    def calls(self) -> list[dict]:
        """The containers that built something since the last look."""
        file = self.docker / "calls.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        file.unlink()
        return [line for line in lines if line["entrypoint"] != "pulsar2"]

    @property
    def left_in_scratch(self) -> list[Path]:
        """What folders of stages that are gone still hold."""
        return [path for path in (self.zoo.root.parent / "cache").rglob("*") if path.name in ("config.json", "log.txt")]


@pytest.fixture(scope="module")
def docked(tmp_path_factory):
    docked = Docked(tmp_path_factory.mktemp('docked, "once"'))
    docked.zoo.build("//m:axmodel")
    return docked


@pytest.fixture(scope="module")
def first(docked):
    return docked.calls()


def test_a_container_sees_its_inputs_alone_and_writes_one_folder_as_the_caller(first):
    for call, given in zip(first, GIVEN, strict=True):
        assert (call["rm"], call["network"]) == (True, "none")
        assert call["user"] == f"{os.getuid()}:{os.getgid()}"
        writable = [mount["target"] for mount in call["mount"] if "readonly" not in mount]
        assert writable == ["/axbuild/output"]
        assert [mount["target"] for mount in call["mount"][:-1]] == [f"/axbuild/{name}" for name in given]
        assert call["arguments"][-4:] == ["pulsar2", "build", "--config", "/axbuild/config.json"]


def test_files_of_a_daemon_that_the_caller_runs_are_those_of_its_root(docked, first):
    (docked.docker / "daemon").write_text(str(docked.docker))  # which is the caller's
    with docked.zoo.edited("m/BUILD.toml", "ddr_bw_limit = 4.0", "ddr_bw_limit = 3.0"):
        docked.zoo.build("//m:axmodel")
    (docked.docker / "daemon").unlink()
    assert [call["user"] for call in docked.calls()] == ["0:0"]


def test_settings_of_targets_are_the_vendors_with_paths_of_the_container(first):
    quantised, compiled = [call["config"] for call in first]
    data = {
        "tensor_name": "x",
        "calibration_dataset": "/axbuild/dataset0.tar",
        "calibration_format": "Numpy",
        "calibration_size": 2,
    }
    assert quantised == {
        "input": "/axbuild/model/model.onnx",
        "output_dir": "/axbuild/output",
        "model_type": "ONNX",
        "target_hardware": "AX620E",
        "npu_mode": "NPU1",
        "input_shapes": "x:1x3x8x8",
        "quant": {
            "input_configs": [data],
            "layer_configs": [{"data_type": "U16", "op_types": ["Relu"]}],
            "calibration_method": "MSE",
        },
    }
    part = {
        "check": 3,
        "check_cosine_simularity": 0.9,
        "input_sample_dir": "/axbuild/samples0",
        "start_tensor_names": ["a"],
        "end_tensor_names": ["b"],
    }
    assert compiled == {
        "input": "/axbuild/quant/quant_axmodel.onnx",
        "output_dir": "/axbuild/output",
        "output_name": "compiled.axmodel",
        "model_type": "QuantAxModel",
        "target_hardware": "AX620E",
        "npu_mode": "NPU2",
        "input_processors": [{"tensor_name": "x"}],
        "output_processors": [{"tensor_name": "DEFAULT", "dst_perm": [0, 2, 3, 1]}],
        "quant": {"input_configs": [data | {"calibration_dataset": "/axbuild/dataset1.tar"}]},
        "compiler": {"static_batch_sizes": [1, 2], "ddr_bw_limit": 4.0, "sub_configs": [part]},
    }


def test_building_again_starts_no_container_but_to_ask_for_the_version(docked, first):
    assert docked.zoo.build("//m:axmodel").executed == []
    assert docked.calls() == []


def test_another_mode_compiles_and_another_chip_quantises(docked, first):
    with docked.zoo.edited("m/BUILD.toml", 'npu_mode = "NPU2"', 'npu_mode = "NPU1"'):
        assert docked.zoo.build("//m:axmodel").executed == ["pulsar2_preflight", "pulsar2_compile"]
    with docked.zoo.edited("m/BUILD.toml", 'target_hardware = "AX620E"', 'target_hardware = "AX650"'):
        executed = docked.zoo.build("//m:axmodel").executed
        assert executed == ["pulsar2_preflight", "pulsar2_quantise", "pulsar2_compile"]


@pytest.mark.parametrize("other", ["image", "version"])
def test_another_image_or_version_does_everything_again_and_why_names_it(docked, first, other):
    if other == "image":
        (docked.docker / "image").write_text("sha256:" + "6" * 64)
    else:
        docked.pulsar2("--says", "5.2")
    try:
        outcome = docked.zoo.build("//m:axmodel")
    finally:
        (docked.docker / "image").write_text(DIGEST)
        docked.pulsar2()
    assert outcome.executed == ["pulsar2_quantise", "pulsar2_compile"]
    tools = [cause for e in outcome.finished("executed") for cause in e["causes"] if cause["what"] == "tool"]
    assert [cause["name"] for cause in tools] == ["pulsar2", "pulsar2"]
    assert all(cause["old"] != cause["new"] for cause in tools)


def test_building_twice_names_what_it_does_not_compare(docked, first):
    outcome = docked.zoo.build("//m:axmodel", "--check_reproducible")
    assert [line for line in outcome.out.splitlines() if line.startswith("not compared")] == [
        "not compared: //m:axmodel pulsar2_compile, whose bytes a tool outside axbuild makes",
        "not compared: //m:axmodel pulsar2_quantise, whose bytes a tool outside axbuild makes",
    ]


def test_an_error_of_the_vendors_is_told_with_its_stage_and_leaves_nothing(docked, first):
    before = sorted((docked.zoo.root / "axbuild-out/m/axmodel").rglob("*"))
    docked.pulsar2("--fails", "compilation")
    with docked.zoo.edited("m/BUILD.toml", "ddr_bw_limit = 4.0", "ddr_bw_limit = 5.0"):
        outcome = docked.zoo.run("build", "//m:axmodel")
        docked.pulsar2()
        assert outcome.code == 1
        assert (
            "error AX582: //m:axmodel pulsar2_compile: Pulsar2 ended with status 1 in compilation: "
            "op [conv_1] of type Conv is not supported in compilation"
        ) in outcome.err
        assert outcome.executed == ["pulsar2_preflight"]
        assert docked.left_in_scratch == []
        assert docked.zoo.build("//m:axmodel").executed == ["pulsar2_compile"]
    assert sorted((docked.zoo.root / "axbuild-out/m/axmodel").rglob("*")) == before


def test_a_build_that_is_stopped_ends_the_container_and_leaves_nothing(docked, first, tmp_path):
    docked.pulsar2("--waits", tmp_path / "pid")
    with docked.zoo.edited("m/BUILD.toml", 'method = "MSE"', 'method = "KL"'):
        command = [sys.executable, "-m", "axbuild.cli.entry", "build", "//m:axmodel"]
        build = subprocess.Popen(command, cwd=docked.zoo.root, env=docked.zoo.environment, stderr=subprocess.PIPE)
        pid = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        build.send_signal(signal.SIGINT)
        build.communicate(timeout=30)
    docked.pulsar2()
    assert build.returncode == 130
    assert wait_for(lambda: not Path("/proc", pid, "cwd").exists())
    assert docked.left_in_scratch == []


MORE = """
[[check]]
name = "check"
axmodel = ":axmodel"
level = "equal"

[[precision_analysis]]
name = "analysis"
quant = ":axmodel"
"""


@pytest.fixture
def judged(docked, first):
    """A BUILD file with a check and an analysis as well."""
    file = docked.zoo.root / "m/BUILD.toml"
    file.write_text(BUILD + MORE)
    yield docked
    file.write_text(BUILD)


def test_a_check_and_an_analysis_are_pulsar2s_own_and_run_apart_from_the_compilation(judged):
    out = judged.zoo.build("//m:check", "//m:analysis")
    apart = ["pulsar2_preflight", "pulsar2_analyse", "pulsar2_preflight", "pulsar2_check"]
    assert sorted(out.executed) == sorted(apart)
    configs = {call["config"]["model_type"]: call["config"] for call in judged.calls()}
    assert configs["QuantAxModel"]["compiler"]["check"] == 2
    assert configs["ONNX"]["quant"]["precision_analysis"] is True
    verdict = json.loads((judged.zoo.root / "axbuild-out/m/check/verdict.json").read_text())
    assert verdict == {"passed": True, "sentence": "Pulsar2 compared 1 tensor"}
    tables = judged.zoo.root / "axbuild-out/m/analysis/debug"
    assert sorted(file.name for file in tables.iterdir()) == ["precision_analysis.mmd", "precision_analysis_table.txt"]
    with judged.zoo.edited("m/BUILD.toml", 'level = "equal"', 'level = "close"'):
        assert judged.zoo.build("//m:check").executed == ["pulsar2_preflight", "pulsar2_check"]
    judged.calls()


def test_a_check_that_pulsar2_is_silent_about_does_not_pass(judged):
    judged.pulsar2("--mute")
    try:
        with judged.zoo.edited("m/BUILD.toml", 'level = "equal"', 'level = "cosine"'):
            outcome = judged.zoo.run("test", "//m:check")
    finally:
        judged.pulsar2()
    assert outcome.code == 1
    assert "Pulsar2 told of no comparison" in outcome.out + outcome.err


@pytest.mark.parametrize("mute", [False, True])
def test_further_shapes_are_told_and_missed_where_the_log_does_not_speak_of_them(docked, first, mute):
    shapes = f"ddr_bw_limit = {4.5 + mute}\nsrc_extra_shapes = [{{ x = [1, 3, 9, 9] }}]"
    docked.pulsar2(*(["--mute"] if mute else []))
    with docked.zoo.edited("m/BUILD.toml", "ddr_bw_limit = 4.0", shapes):
        outcome = docked.zoo.build("//m:axmodel")
    docked.pulsar2()
    assert outcome.executed == ["pulsar2_preflight", "pulsar2_compile"]
    assert ("1 further shapes were asked for, and Pulsar2's log speaks of 0" in outcome.err) == mute
    report = json.loads((docked.zoo.root / "axbuild-out/m/axmodel/pulsar2/compilation.json").read_text())
    assert report["extra_shapes"] == ({} if mute else {"1": "{'x': (1, 3, 9, 9)}"})
    docked.calls()


def test_fine_tuning_gets_the_gpu_it_asks_for_and_another_of_the_kind_reruns_nothing(docked, first):
    tuned = 'method = "MSE"\nenable_adaround = true\ndevice = "cuda:3"'
    with docked.zoo.edited("m/BUILD.toml", 'method = "MSE"', tuned):
        docked.zoo.build("//m:axmodel")
        quantised, compiled = docked.calls()
        assert (quantised["gpus"], compiled["gpus"]) == ("device=3", None)
        assert quantised["config"]["quant"]["device"] == "cuda:0"
        with docked.zoo.edited("m/BUILD.toml", "cuda:3", "cuda:1"):
            assert docked.zoo.build("//m:axmodel").executed == []
        with docked.zoo.edited("m/BUILD.toml", "cuda:3", "cpu"):
            assert "pulsar2_quantise" in docked.zoo.build("//m:axmodel").executed
    docked.calls()


def test_a_quantised_onnx_is_given_as_it_is(docked, first):
    with (
        docked.zoo.edited("m/BUILD.toml", 'src = "net.onnx"', 'src = "net.onnx"\nmodel_type = "QuantONNX"'),
        docked.zoo.edited("m/BUILD.toml", 'target_hardware = "AX620E"', 'target_hardware = "AX650"'),
    ):
        executed = docked.zoo.build("//m:axmodel").executed
    assert "pulsar2_quantise" in executed
    assert docked.calls()[0]["config"]["model_type"] == "QuantONNX"


def wait_for(found, seconds=30.0):
    end = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.02)
    assert value, "it did not come to pass"
    return value


MISTAKES = [
    ("", "AX580: //m:axmodel pulsar2_quantise: pulsar2 is asked for, and nothing says how it is called"),
    ("docker:none:1", "AX581: //m:axmodel pulsar2_quantise: pulsar2 cannot be run: docker has no image 'none:1'"),
    ("nowhere/pulsar2", "AX581: //m:axmodel pulsar2_quantise: pulsar2 cannot be run: there is no command"),
    ("false", "AX586: //m:axmodel pulsar2_quantise: `pulsar2 version` ended with status 1"),
]


@pytest.mark.parametrize(("setting", "sentence"), MISTAKES, ids=["unnamed", "no image", "no command", "mute"])
def test_a_toolchain_that_is_not_there_is_a_mistake_of_the_settings(docked, first, setting, sentence):
    with docked.zoo.edited("axbuild.toml", '"docker:vendor:5"', f'"{setting}"'):
        outcome = docked.zoo.run("build", "//m:axmodel")
    assert outcome.code == 2
    assert f"error {sentence}" in outcome.err
