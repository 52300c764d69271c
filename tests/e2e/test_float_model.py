"""The switches of a float model: what each one runs, what it hands over, and what it must not run again."""

from __future__ import annotations

import json

import onnx
import pytest

from zoo_workspace import Zoo, copy_package, copy_zoo

TARGETS = ("//digits:float", "//digits:check")
SOURCE = 'src = "digits.onnx"'


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("zoo")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache", copy_package(room / "package"))
    zoo.build(*TARGETS)
    return zoo


def test_a_float_model_hands_over_its_graph_and_its_interface(zoo: Zoo) -> None:
    zoo.build(*TARGETS)
    folder = zoo.root / "axbuild-out/digits/float"
    assert sorted(path.name for path in folder.iterdir()) == ["interface.json", "operators.json", "optimized.onnx"]
    assert onnx.load(folder / "optimized.onnx").producer_name == "axbuild"


def test_the_check_of_the_model_runs_alone_and_is_judged(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\nmodel_check = true"):
        outcome = zoo.build(*TARGETS)
        assert outcome.executed == ["model_check"]
        verdict = json.loads((zoo.root / "axbuild-out/digits/float/model_check.json").read_text())
        assert verdict["passed"]
        assert verdict["sentence"].startswith("every output of the optimised model agrees with the original's")
    (result,) = [event for event in outcome.events if event["event"] == "test_result" and event["label"] == TARGETS[0]]
    assert result["passed"]


def test_the_tensors_of_the_check_are_an_output_where_asked(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\nsave_tensors_data = true"):
        assert zoo.build(*TARGETS).executed == ["model_check"]
        names = json.loads((zoo.root / "axbuild-out/digits/float/tensors/names.json").read_text())
    assert sorted(names) == ["input_0.npy", "optimized_0.npy", "original_0.npy"]


def test_a_switch_that_leaves_the_graph_as_it_was_quantises_nothing_again(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\ndisable_transformation_check = true"):
        assert zoo.build(*TARGETS).executed == ["optimize"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("optimize_seconds = 0.001", "stage 'optimize' was stopped after its limit of 0.001 s, with a peak of "),
        ("optimize_memory_gb = 0.001", "stage 'optimize' was stopped after "),
    ],
)
def test_an_optimisation_is_stopped_at_the_limits_of_the_settings_which_it_names(zoo: Zoo, setting, told) -> None:
    text = (zoo.root / "axbuild.toml").read_text()
    with (
        zoo.edited("axbuild.toml", text, f"{text}\n[resources]\n{setting}\n"),
        zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\ndisable_onnx_optimization = true"),
    ):
        done = zoo.run("build", "//digits:float")
    assert done.code == 1
    assert f"error AX552: //digits:float optimize: {told}" in done.err
    assert f"hint: raise `{setting.partition(' ')[0]}` under [resources] in axbuild.toml" in done.err


def test_a_cut_that_leaves_the_model_whole_runs_the_front_end_alone(zoo: Zoo) -> None:
    zoo.build(*TARGETS)
    with zoo.edited("digits/BUILD.toml", SOURCE, f'{SOURCE}\ninputs = ["image"]\noutputs = ["logits"]'):
        assert zoo.build(*TARGETS).executed == ["optimize"]


def test_a_renamed_output_has_its_name_to_the_end_and_is_compared_under_it(zoo: Zoo) -> None:
    setting = f'{SOURCE}\nrename = {{ logits = "digit" }}\nmodel_check = true'
    with zoo.edited("digits/BUILD.toml", SOURCE, setting):
        zoo.build(*TARGETS)
        verdict = json.loads((zoo.root / "axbuild-out/digits/float/model_check.json").read_text())
        assert (verdict["passed"], [item["name"] for item in verdict["outputs"]]) == (True, ["digit"])
        zoo.build("//digits:axmodel")
        shown = zoo.run("inspect", "--json", "axbuild-out/digits/axmodel/compiled.axmodel")
        assert [item["name"] for item in json.loads(shown.out)["outputs"]] == ["digit"]


def test_a_cut_that_does_not_fit_the_model_is_told_with_the_nearest_name(zoo: Zoo) -> None:
    with zoo.edited("digits/BUILD.toml", SOURCE, f'{SOURCE}\noutputs = ["logit"]'):
        done = zoo.run("build", "//digits:check")
    assert (done.code, done.executed) == (2, [])
    assert "error AX311: //digits:float optimize: outputs names 'logit', and the model has no tensor" in done.err
    assert "hint: did you mean 'logits'" in done.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fix = { image = [] }", "fix takes a table of name = a number, true, false, or a list of these"),
        ('fix = { image = "1" }', "fix takes a table of name = a number, true, false, or a list of these"),
        ("rename = { image = 1 }", "rename takes a table of name = another name, got { image = 1 }"),
        ('outputs = "logits"', "outputs takes a list, each item a string"),
    ],
)
def test_a_cut_that_is_written_wrongly_is_told_at_its_line(zoo: Zoo, line: str, told: str) -> None:
    with zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\n{line}"):
        done = zoo.run("build", "//digits:check")
    assert done.code == 2
    assert f"error AX106: {told}" in done.err


def test_onnxslim_runs_first_where_it_is_asked_for_and_nowhere_else(zoo: Zoo) -> None:
    zoo.build(*TARGETS)
    with zoo.edited("digits/BUILD.toml", SOURCE, f"{SOURCE}\nenable_onnxsim = true"):
        assert zoo.build(*TARGETS).executed[:2] == ["slim", "optimize"]
        assert zoo.build(*TARGETS).executed == []
    assert zoo.build(*TARGETS).executed == []
