"""A configuration of the vendor's in a workspace where a real Pulsar2, played by a stand-in, does what it says."""

from __future__ import annotations

import json

import pytest

from pulsar2_world import relu_workspace, standin

CONFIG = {
    "input": "net.onnx",
    "output_dir": "output",
    "target_hardware": "AX620E",
    "onnx_opt": {"model_check": True},
    "quant": {
        "input_configs": [{"tensor_name": "DEFAULT", "calibration_dataset": "samples", "calibration_format": "Numpy"}],
        "calibration_method": "KL",
        "precision_analysis": True,
    },
    "input_processors": [{"tensor_name": "x", "src_extra_shapes": [{"shape": [1, 3, 9, 9]}]}],
    "compiler": {"check": 1, "check_rtol": 0.5, "static_batch_sizes": [1, 2]},
}
TABLE = '[[pulsar2_build]]\nname = "net"\nconfig = "config.json"\n'
DRIVEN = TABLE + 'toolchain = "pulsar2"\n'
BY_DEFAULT = '\n[defaults.quant_model]\ntoolchain = "pulsar2"\n'
RAN = ["pulsar2_analyse", "pulsar2_check", "pulsar2_compile", "pulsar2_quantise"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    root = tmp_path_factory.mktemp("config_driven") / "ws"
    zoo = relu_workspace(root, DRIVEN, json.dumps(standin("--light")))
    (root / "m/config.json").write_text(json.dumps(CONFIG))
    return zoo


@pytest.fixture(scope="module")
def built(zoo):
    return zoo.build("//m:net", "//m:net_check", "//m:net_precision")


def config_of(zoo, run):
    """What a run was asked for, as its preflight wrote it down."""
    targets = {"quantisation": "net", "compilation": "net", "check": "net_check", "analysis": "net_precision"}
    return json.loads((zoo.root / f"axbuild-out/m/{targets[run]}/pulsar2/{run}.json").read_text())


def test_all_that_the_configuration_asks_for_is_done_by_pulsar2(zoo, built):
    assert sorted(name for name in built.executed if name != "pulsar2_preflight") == RAN
    out = zoo.root / "axbuild-out/m"
    assert "precision_analysis_table.txt" in {file.name for file in (out / "net_precision/debug").iterdir()}
    assert json.loads((out / "net_check/verdict.json").read_text())["passed"] is True
    assert config_of(zoo, "compilation")["extra_shapes"] == {"1": "{'x': (1, 3, 9, 9)}"}


def test_nothing_runs_again_but_what_an_edit_reaches(zoo, built):
    assert zoo.build("//m:net", "//m:net_check", "//m:net_precision").executed == []
    with zoo.edited("m/config.json", '"check_rtol": 0.5', '"check_rtol": 0.25'):
        executed = zoo.build("//m:net", "//m:net_check", "//m:net_precision").executed
    assert [name for name in executed if name != "pulsar2_preflight"] == ["pulsar2_check"]


def test_why_names_what_a_setting_did(zoo, built):
    with zoo.edited("m/config.json", '"calibration_method": "KL"', '"calibration_method": "MSE"'):
        zoo.build("//m:net")
        said = zoo.run("why", "//m:net").out
    assert "pulsar2_quantise" in said
    assert "config.quant.calibration_method" in said
    assert '"KL"' in said
    assert '"MSE"' in said


def test_building_twice_leaves_out_what_pulsar2_makes(zoo, built):
    said = zoo.build("//m:net", "//m:net_check", "--check_reproducible").out
    assert [line.split(",")[0] for line in said.splitlines() if line.startswith("not compared")] == [
        f"not compared: //m:{target} pulsar2_{action}"
        for target, action in (("net", "compile"), ("net", "quantise"), ("net_check", "check"))
    ]


def test_a_default_of_the_workspace_does_it_too_and_names_the_table_that_an_analysis_needs(zoo, built):
    with (
        zoo.edited("axbuild.toml", "[toolchain]", BY_DEFAULT + "\n[toolchain]"),
        zoo.edited("m/BUILD.toml", 'toolchain = "pulsar2"\n', ""),
    ):
        assert zoo.build("//m:net", "//m:net_check").executed == []
        refused = zoo.run("build", "//m:net_precision")
    assert refused.code == 2
    assert "a real Pulsar2 quantises for a chip" in refused.err
    assert 'toolchain = "pulsar2" in the pulsar2_build' in refused.err


def test_what_import_writes_builds_the_very_same_with_the_default(zoo, built):
    imported = zoo.run("import", "m/config.json", "--name", "net")
    with (
        zoo.edited("axbuild.toml", "[toolchain]", BY_DEFAULT + "\n[toolchain]"),
        zoo.edited("m/BUILD.toml", DRIVEN, imported.out),
    ):
        assert zoo.build("//m:net", "//m:net_check").executed == []


def test_without_a_toolchain_the_configuration_is_built_by_axbuild(zoo, built):
    with zoo.edited("m/BUILD.toml", DRIVEN, TABLE):
        assert "pulsar2_quantise" not in zoo.run("build", "//m:net", "--dry_run").out


def test_a_quantised_model_of_axbuild_is_not_given_to_pulsar2(zoo):
    quantised = {"input": "net.onnx", "model_type": "QuantAxModel"}
    with zoo.edited("m/config.json", json.dumps(CONFIG), json.dumps(quantised)):
        done = zoo.run("build", "//m:net")
    assert done.code == 2
    assert "error AX583" in done.err
    assert "a real Pulsar2 does not take the quantised models of axbuild" in done.err
