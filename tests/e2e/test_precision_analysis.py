"""A precision analysis in a workspace: what runs and what not, what is judged, and the NPU's own values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quantised import Net

from net_workspace import AXMODEL, QUANT, net_workspace
from zoo_workspace import Zoo

ANALYSES = """
[[precision_report]]
name = "report"
quant = ":quant"

[[precision_analysis]]
name = "per_layer"
quant = ":quant"

[[precision_analysis]]
name = "end_to_end"
quant = ":axmodel"
method = "EndToEnd"
min_cosine = 0.9

[[precision_analysis]]
name = "npu_per_layer"
quant = ":axmodel"
mode = "NPUBackend"

[[precision_analysis]]
name = "npu_end_to_end"
quant = ":axmodel"
mode = "NPUBackend"
method = "EndToEnd"

[[precision_analysis]]
name = "on_others"
quant = ":quant"
input_sample_dir = "others"
size = -1
"""


def net() -> Net:
    """Two convolutions and an activation, which is fused."""
    net = Net(1, 3, 8, 8)
    net.conv("x", "first", 8, 3, 3)
    net.add("Relu", ["first"], "between")
    net.conv("between", "y", 4, 8)
    return net


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    plain = net()
    samples = [feed["x"] for feed in plain.samples(12)]
    root = tmp_path_factory.mktemp("analysis") / "workspace"
    zoo = net_workspace(root, QUANT + AXMODEL + ANALYSES, plain.model("y"), samples[:9])
    (root / "m/others").mkdir()
    for number, sample in enumerate(samples[9:]):
        np.save(root / f"m/others/{number}.npy", sample)
    return zoo


def analysis(zoo: Zoo, target: str) -> dict:
    return json.loads(output(zoo, target, "precision_analysis.json").read_text())


def output(zoo: Zoo, target: str, name: str) -> Path:
    return zoo.root / "axbuild-out/m" / target / name


def test_another_method_limit_form_or_a_report_measures_nothing_again(zoo: Zoo) -> None:
    done = zoo.build("//m:per_layer")
    assert [name for name in done.executed if "edges" in name or "analyse" in name] == ["measure_edges", "analyse"]
    assert "judge_rows" not in done.executed, "without a limit there is no verdict"
    table = output(zoo, "per_layer", "precision_analysis_table.txt").read_text()
    assert all(line.strip() in done.out for line in table.splitlines())
    through = zoo.build("//m:end_to_end", "//m:axmodel").executed
    assert {"analyse", "judge_rows"} < set(through)
    assert "measure_edges" not in through
    with zoo.edited("m/BUILD.toml", "min_cosine = 0.9", "min_cosine = 0.91\nmax_step = 100.0"):
        assert zoo.build("//m:end_to_end").executed == ["judge_rows"]
    with zoo.edited("m/BUILD.toml", 'name = "per_layer"', 'name = "per_layer"\nmethod = "EndToEnd"'):
        assert zoo.build("//m:per_layer").executed == [], "the other target has it"
    assert sorted(zoo.build("//m:report").executed) == ["effects", "measure", "report"]


def test_a_limit_fails_the_test_by_name(zoo: Zoo) -> None:
    with zoo.edited("m/BUILD.toml", "min_cosine = 0.9", 'min_cosine = 1.0\njudge = "layers"'):
        done = zoo.run("test", "//m:end_to_end")
    assert done.code == 1
    assert "EndToEnd Reference, 2 rows on 8 samples: 'first' (tensor 'between') has the cosine 0.99" in done.err
    assert "below 1; 2 rows failed" in done.err


def test_the_npu_has_the_references_values_and_is_not_asked_where_the_cpu_takes_part(zoo: Zoo) -> None:
    done = zoo.build("//m:npu_per_layer", "//m:npu_end_to_end", "//m:per_layer", "//m:end_to_end")
    assert {"float_values", "simulate_parts", "simulate_layers"} < set(done.executed)
    for method in ("per_layer", "end_to_end"):
        npu, reference = analysis(zoo, f"npu_{method}"), analysis(zoo, method)
        assert npu["rows"] == reference["rows"]
        assert (npu["mode"], reference["mode"]) == ("NPUBackend", "Reference")
    with zoo.edited(
        "m/BUILD.toml", 'calibration = ":calib"', 'calibration = ":calib"\nlayer_configs = [' + ON_CPU + "]"
    ):
        done = zoo.run("build", "//m:npu_per_layer")
    assert done.code == 2
    assert "AX490" in done.err
    assert "'first' (Conv)" in done.err
    assert "simulate_parts" not in done.executed


ON_CPU = '{ layer_name = "first", weight_data_type = "FP32" }'


def test_files_of_the_original_model_take_the_place_of_the_samples(zoo: Zoo) -> None:
    zoo.build("//m:on_others", "//m:per_layer")
    others = analysis(zoo, "on_others")
    assert others["samples"] == 3
    assert others["rows"][0]["cosine"] != analysis(zoo, "per_layer")["rows"][0]["cosine"]
