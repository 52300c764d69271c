"""`[[pulsar2_build]]` and `axbuild import`: a configuration in a package, laid out by the standard rules."""

import json
import re
from pathlib import Path

import pytest

from axbuild.cli.completing import labels
from axbuild.errors import AxError
from axbuild.graph.layout import lay_out
from axbuild.graph.targets import load
from axbuild.workspace.rulepack import standard_module
from axbuild.workspace.workspace import Workspace
from rules_world import empty_model

BUILD = """
[[pulsar2_build]]
name = "m"
config = "config.json"
"""
CONFIG = """{
  // a model and its pictures
  "input": "net.onnx",
  "output_dir": "out",
  "npu_mode": "NPU2",
  "quant": {
    "input_configs": [{
      "tensor_name": "DEFAULT",
      "calibration_dataset": "./samples.tar",
      "calibration_mean": [103.939, 116.779, 123.68],
      "calibration_std": [58, 58, 58],
    }],
    "calibration_method": "KL",
    "layer_configs": [{"op_type": "Add", "data_type": "U16"}],
    "precision_analysis": true,
  },
  "input_processors": [{"tensor_name": "DEFAULT", "tensor_format": "BGR", "src_dtype": "U8", "src_layout": "NHWC"}],
  "op_processors": [{"op_name": "pool6", "attrs": {"ceil_mode": 1}}],
  "compiler": {"check": 1, "check_rtol": 1e-4, "static_batch_sizes": [1, 2]}, # checked
}
"""


@pytest.fixture
def package(tmp_path):
    (tmp_path / "axbuild.toml").touch()
    folder = tmp_path / "m"
    folder.mkdir()
    for name in ("net.onnx", "other.onnx"):
        (folder / name).write_bytes(empty_model())
    (folder / "samples.tar").write_bytes(b"x")
    (folder / "config.json").write_text(CONFIG)
    (folder / "BUILD.toml").write_text(BUILD)
    return folder


def actions(package):
    """Action -> what decides its key, apart from code."""
    laid = lay_out(load(Workspace.find(package, environ={}), ["//m:all"]))
    return {action.id: (action.stage.ref, action.params, action.inputs) for one in laid for action in one.actions}


def import_config(package, output, **more):
    arguments = {"input": "", "name": "", "output": output} | more
    standard_module("_importing").import_config(package / "config.json", **arguments)


def test_one_table_stands_for_the_whole_chain(package):
    found = {id_[0] for id_ in actions(package)}
    assert found == {"//m:m_float", "//m:m_quant", "//m:m", "//m:m_check", "//m:m_precision"}
    targets = Workspace.find(package, environ={}).packages.targets("m")
    assert list(targets) == ["m_float", "m_calib", "m_quant", "m", "m_check", "m_precision"]
    assert targets["m"].values["npu_mode"] == "NPU2"


def test_the_shells_completion_knows_them(package):
    assert labels(package, "//m:m_c") == ["//m:m_calib", "//m:m_check"]


def test_what_is_imported_lays_out_the_same_actions(package):
    before = actions(package)
    written = package / "BUILD.imported"
    import_config(package, str(written))
    (package / "BUILD.toml").write_text(written.read_text())
    assert actions(package) == before


def test_import_prints_what_a_person_would_write(package, capsys):
    import_config(package, "-", input="other.onnx", name="net")
    assert capsys.readouterr().out == (
        """# What config.json stands for, written by `axbuild import`.

[[float_model]]
name = "net_float"
src = "other.onnx"
op_processors = [
    { op_name = "pool6", attrs = { ceil_mode = 1 } },
]

[[calibration_set]]
name = "net_calib"
src = "./samples.tar"
mean = [103.939, 116.779, 123.68]
std = [58.0, 58.0, 58.0]
tensor_format = "BGR"

[[quant_model]]
name = "net_quant"
model = ":net_float"
calibration = ":net_calib"
method = "KL"
layer_configs = [
    { op_type = "Add", data_type = "U16" },
]

[[axmodel]]
name = "net"
quant = ":net_quant"
npu_mode = "NPU2"
static_batch_sizes = [1, 2]
input_processors = [
    { tensor_name = "DEFAULT", src_dtype = "U8", src_layout = "NHWC" },
]

[[check]]
name = "net_check"
axmodel = ":net"
level = "close"
rtol = 0.0001

[[precision_analysis]]
name = "net_precision"
quant = ":net_quant"
"""
    )


def test_import_tells_what_has_no_effect(package, capsys):
    text = CONFIG.replace('"check_rtol"', '"check_cosine_simularity": 0.5, "check_rtol"')
    (package / "config.json").write_text(text)
    import_config(package, "-")
    told = capsys.readouterr()
    assert "warning AX527" in told.err
    assert "compiler.check_cosine_simularity" in told.err
    assert "cosine" not in told.out


def test_import_writes_over_no_file(package):
    with pytest.raises(AxError, match=re.escape("BUILD.toml is there already")):
        import_config(package, str(package / "BUILD.toml"))
    assert (package / "BUILD.toml").read_text() == BUILD


def test_a_folder_that_cannot_name_a_target_asks_for_a_name(package):
    odd = package.rename(package.parent / "my model")
    with pytest.raises(AxError, match="'my model' is no name of a target"):
        import_config(odd, "-")


def test_attributes_stand_over_the_configuration(package):
    (package / "BUILD.toml").write_text(BUILD + 'input = "other.onnx"\ntarget_hardware = "AX650N"\nnpu_mode = "NPU3"\n')
    targets = Workspace.find(package, environ={}).packages.targets("m")
    assert targets["m_float"].values["src"] == ["other.onnx"]
    assert (targets["m"].values["target_hardware"], targets["m"].values["npu_mode"]) == ("AX650N", "NPU3")


def test_a_quantised_model_of_the_vendors_kind_is_a_float_model_of_that_type(package):
    edited = CONFIG.replace('"output_dir"', '"model_type": "QuantONNX", "output_dir"')
    (package / "config.json").write_text(edited)
    targets = Workspace.find(package, environ={}).packages.targets("m")
    assert targets["m_float"].values["model_type"] == "QuantONNX"
    assert ("//m:m_quant", "adopt_observed") in actions(package)


def faults(package, *edits):
    text = CONFIG
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (package / "config.json").write_text(text)
    with pytest.raises(AxError) as raised:
        actions(package)
    return str(raised.value)


ASKED = "it is asked for at m/BUILD.toml:2"


@pytest.mark.parametrize(
    ("edit", "start", "hint"),
    [
        (('"KL"', '"KLL"'), "m/config.json:13: error AX522: quant.calibration_method takes MinMax", ASKED),
        (('"pool6"', "6"), "m/config.json:18: error AX522: op_processors[0].op_name takes a text, got 6", ASKED),
        (('"NPU2"', '"NPU7"'), "m/config.json:5: error AX522: npu_mode takes", ASKED),
        (('"U8", "src', '"S64", "src'), "m/config.json:17: error AX522: input_processors[0].src_dtype takes", ASKED),
        (("net.onnx", "no.onnx"), "m/config.json:3: error AX109: there is no 'no.onnx' in //m", ASKED),
        (("./samples", "../samples"), "m/config.json:9: error AX110: '../samples.tar' leaves the package //m", ASKED),
        (("[1, 2]", "[2, 2]"), "m/config.json:19: error AX106: static_batch_sizes names a batch twice", ASKED),
        (('"check": 1', '"sub_configs": 1'), "m/config.json:19: error AX522: compiler.sub_configs takes a list", ASKED),
    ],
)
def test_a_mistake_has_its_line_in_the_configuration_and_names_the_table(package, edit, start, hint):
    message = faults(package, edit)
    assert message.startswith(start)
    assert hint in message


SECOND = """"calibration_std": [58, 58, 58],
    }, {
      "tensor_name": "y", "calibration_format": "Numpy",
      "calibration_dataset": "../y.tar",
    }]"""


def test_a_mistake_in_the_second_entry_has_its_own_line(package):
    message = faults(package, ('"calibration_std": [58, 58, 58],\n    }]', SECOND))
    assert message.startswith("m/config.json:14: error AX110: '../y.tar' leaves the package //m")
    twice = '"src_layout": "NHWC"},\n{"tensor_name": "y", "src_layout": "NHWC",\n"src_format": "GRAY"}]'
    message = faults(package, ('"src_layout": "NHWC"}]', twice))
    assert message.startswith("m/config.json:19: error AX119: src_format GRAY with tensor_format BGR")


def test_a_configuration_that_is_not_there_is_an_error_with_place(package):
    (package / "config.json").rename(package / "config.yaml")
    with pytest.raises(AxError) as raised:
        actions(package)
    assert str(raised.value) == (
        "m/BUILD.toml:4: error AX109: there is no 'config.json' in //m\n  4 | config = \"config.json\"\n"
        "  hint: did you mean 'config.yaml'?"
    )


def test_settings_without_effect_are_left_out(package):
    """Of those that the vendor's tool accepts, axbuild refuses many in a BUILD file."""
    config = json.loads(re.sub(r",(?=\s*[\]}])", "", re.sub(r"//.*|#.*", "", CONFIG)))
    config["compiler"] |= {"check_cosine_simularity": 0.5, "disable_ir_fix": True}
    config["quant"] |= {"finetune_epochs": 3, "smooth_quant_threshold": 0.5}
    config["input_processors"][0] |= {"csc_mat": [1.0], "csc_mode": "FullRange", "padding_constant_value": 3}
    (package / "config.json").write_text(json.dumps(config))
    assert len(actions(package)) > 10


def test_the_page_of_rules_shows_the_table(package):
    page = Path(__file__).parents[2] / "docs/reference/rules.md"
    assert "## pulsar2_build" in page.read_text()
