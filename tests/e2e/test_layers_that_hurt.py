"""Which layers hurt, and 16 bits found by measuring, in a workspace: what runs, what is said, what is not run again."""

from __future__ import annotations

import json
import tomllib

import pytest

from zoo_workspace import Zoo, copy_zoo

TARGETS = """
[[precision_report]]
name = "layers"
quant = ":quant"

[[precision_check]]
name = "precision"
quant = ":quant"
min_cosine = 0.9

[[quant_model]]
name = "finer"
model = ":float"
calibration = ":calib"
auto_precision = { min_snr_db = 42 }

[[precision_check]]
name = "finer_precision"
quant = ":finer"
min_cosine = 0.9
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("report")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache")
    build = zoo.root / "digits" / "BUILD.toml"
    build.write_text(build.read_text() + TARGETS)
    return zoo


def test_report_and_check_share_what_was_measured_and_another_form_measures_nothing(zoo: Zoo) -> None:
    assert "measure_edges" not in zoo.build("//digits:precision").executed, "a check asks for the outputs only"
    done = zoo.build("//digits:layers", "//digits:precision")
    assert sorted(done.executed) == ["effects", "measure_edges", "report"]
    assert "of the noise at the outputs" in done.out
    page = zoo.root / "axbuild-out/digits/layers/precision_report.html"
    assert "<h1>Precision of //digits:layers</h1>" in page.read_text()
    report = json.loads(page.with_suffix(".json").read_text())
    assert report["layers"][0]["rule"].startswith("{ layer_name")
    with zoo.edited("digits/BUILD.toml", 'name = "layers"', 'name = "layers"\nlayers = 3'):
        assert zoo.build("//digits:layers").executed == ["report"]


def test_auto_precision_reaches_its_target_and_another_target_senses_nothing_again(zoo: Zoo) -> None:
    zoo.build("//digits:finer_precision")
    verdict = json.loads((zoo.root / "axbuild-out/digits/finer_precision/verdict.json").read_text())
    (output,) = verdict["outputs"].values()
    assert output["snr_db"] >= 41, "judged on all samples, chosen on some of them"
    zoo.build("//digits:finer")
    rules = zoo.root / "axbuild-out/digits/finer/quant/auto_precision.toml"
    assert tomllib.loads(rules.read_text())["layer_configs"]
    with zoo.edited("digits/BUILD.toml", "min_snr_db = 42", "min_snr_db = 43"):
        executed = zoo.build("//digits:finer").executed
    assert executed[0] == "raise_precision"
    assert set(executed) <= {"raise_precision", "quantize"}


def test_a_target_that_16_bits_do_not_reach_fails_the_build(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", "min_snr_db = 42", "min_snr_db = 120"):
        done = zoo.run("build", "//digits:finer")
    assert done.code == 2
    assert "AX474" in done.err
    assert "and 120 dB is asked for" in done.err


def test_a_metric_is_a_script_that_runs_inside_the_walls(zoo: Zoo) -> None:
    digits = zoo.root / "digits"
    (digits / "floor.json").write_text("[0.75]")
    script = "import json, pathlib, sys\nfloor = json.loads(pathlib.Path(sys.argv[2]).read_text())\nprint(floor[0])\n"
    (digits / "task.py").write_text(script)
    goal = '{ min_metric = 0.7, metric = "task.py", metric_data = "floor.json" }'
    with zoo.edited("digits/BUILD.toml", "{ min_snr_db = 42 }", goal):
        done = zoo.run("build", "//digits:finer")
        assert "metric 0.75 -> 0.75 on all samples (0.7 was asked for)" in done.out + done.err
        (digits / "task.py").write_text("import subprocess\nsubprocess.run(['ls'])\n")
        done = zoo.run("build", "//digits:finer")
        assert "AX475" in done.err
        assert "the metric's script failed: Refused: it tried to start a process" in done.err


def test_a_metric_without_its_least_figure_is_an_error(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", "{ min_snr_db = 42 }", "{ min_metric = 0.7 }"):
        done = zoo.run("build", "//digits:finer")
    assert "error AX115: min_metric needs metric, the script, and metric needs min_metric" in done.err


@pytest.mark.parametrize("goal", ["{ min_snr_db = 30, min_cosine = 0.99 }", '{ target_hardware = "AX650" }'])
def test_a_goal_is_one_figure(zoo: Zoo, goal: str) -> None:
    with zoo.edited("digits/BUILD.toml", "{ min_snr_db = 42 }", goal):
        done = zoo.run("build", "//digits:finer")
    assert done.code == 2
    assert "error AX115: auto_precision takes one of min_snr_db, min_cosine and min_metric" in done.err
