"""The rule quant_axmodel: what a target lays out of a model that is quantised already."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.workspace.artifact import SourceFiles
from rules_world import AXMODEL, CHECK, layer

QUANTISED = """
[[quant_axmodel]]
name = "quant"
src = "net.onnx"
"""
CALIBRATED = (
    QUANTISED
    + """calibration = ":calib"

[[calibration_set]]
name = "calib"
src = "samples.tar"
tensor_format = "RGB"
mean = [127.5]
std = [127.5, 127.5, 127.0]
"""
)


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


def processors(lay, text):
    actions, _ = lay(text)
    return actions["axmodel", "partition"].params["input_processors"]


def test_the_records_come_along_where_they_are(lay, tmp_path):
    actions, _ = lay(QUANTISED)
    assert actions["quant", "read_quantised"].inputs["model"].files == (("net.onnx", "m/net.onnx"),)
    (tmp_path / "m/net.json").write_text("{}")
    actions, _ = lay(QUANTISED)
    files = (("net.json", "m/net.json"), ("net.onnx", "m/net.onnx"))
    assert actions["quant", "read_quantised"].inputs["model"] == SourceFiles(files, tree=True)


def test_an_axmodel_of_it_hands_over_no_float_model_and_prepares_nothing(lay):
    actions, targets = lay(QUANTISED + AXMODEL)
    assert {name for _, name in actions} == {"read_quantised", "preflight", "partition", "split", "fuse"}
    assert "frontend/" not in targets["axmodel"].outputs
    assert {"quant/quant_axmodel.onnx", "quant/quant_axmodel.json"} <= targets["axmodel"].outputs.keys()


def test_processors_are_as_they_say_themselves(lay):
    said = 'input_processors = [{ tensor_name = "a", tensor_format = "BGR", mean = [1.0], std = [2.0] }]\n'
    default, own = processors(lay, QUANTISED + AXMODEL + said)
    assert (default["tensor_name"], default["mean"], default["std"]) == ("DEFAULT", [], [])
    assert (own["tensor_name"], own["tensor_format"], own["src_format"]) == ("a", "BGR", "BGR")
    assert (own["mean"], own["std"]) == ([1.0], [2.0])


def test_processors_of_calibrated_inputs_take_what_calibration_says(lay):
    (only,) = processors(lay, CALIBRATED + AXMODEL)
    assert (only["tensor_format"], only["mean"], only["std"]) == ("RGB", [127.5] * 3, [127.5, 127.5, 127.0])
    (other,) = processors(lay, CALIBRATED + AXMODEL + "input_processors = [{ mean = [1.0] }]\n")
    assert (other["mean"], other["std"]) == ([1.0], [127.5, 127.5, 127.0])


@pytest.mark.parametrize(("batches", "count"), [("", 8), ("static_batch_sizes = [1, 4, 8]\n", 13)])
def test_a_check_without_samples_has_as_many_random_ones_as_all_batches_hold(lay, batches, count):
    actions, _ = lay(QUANTISED + AXMODEL + batches + CHECK)
    assert actions["check", "random_answers"].params["count"] == count
    assert actions["check", "answers"].inputs["samples"] == ()
    assert len(actions["check", "answers"].inputs["data"]) == 1


def test_a_check_with_samples_or_files_makes_none_up(lay, tmp_path):
    for text in (CALIBRATED + AXMODEL + CHECK, QUANTISED + AXMODEL + CHECK + 'input_sample_dir = "given"\n'):
        (tmp_path / "m/given").mkdir(parents=True, exist_ok=True)
        (tmp_path / "m/given/a.npy").write_bytes(b"x")
        actions, _ = lay(text)
        assert ("check", "random_answers") not in actions


def test_an_axmodel_of_two_files_is_none(lay, tmp_path):
    two = QUANTISED + QUANTISED.replace('"quant"', '"other"').replace("net.onnx", "other.onnx")
    subgraphs = "".join(
        f'[[npu_subgraph]]\nname = "{name}"\nquant = ":{quant}"\nbatch = {batch}\n'
        for name, quant, batch in (("one", "quant", 1), ("two", "other", 2))
    )
    (tmp_path / "m").mkdir(exist_ok=True)
    lay(QUANTISED)
    (tmp_path / "m/other.onnx").write_bytes((tmp_path / "m/net.onnx").read_bytes())
    with pytest.raises(AxError, match="are of different quantised models"):
        lay(two + subgraphs + '[[axmodel]]\nname = "axmodel"\nsubgraphs = [":one", ":two"]\n')
