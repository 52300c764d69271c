"""Layer rules through the command line: what they select is told, and what they cannot have is refused early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Net

from zoo_workspace import Zoo

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples"
format = "Numpy"

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
layer_configs = [RULES]

[[axmodel]]
name = "axmodel"
quant = ":quant"

[[check]]
name = "check"
axmodel = ":axmodel"
level = "equal"
"""
RULES = """
  { op_type = "Silu", data_type = "U16" },
  { op_type = "Conv", data_type = "U8", output_data_type = "FP32" },
  { start_tensor_names = ["DEFAULT"], end_tensor_names = ["DEFAULT"], data_type = "FP32" },
"""


def silu_net() -> Net:
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Sigmoid", ["c"], "gate")
    n.add("Mul", ["c", "gate"], "silu")
    n.conv("silu", "d", 4, 4)
    n.add("Add", ["d", "silu"], "s")
    n.add("LeakyRelu", ["s"], "y")
    return n


@pytest.fixture
def workspace(tmp_path: Path) -> Zoo:
    root = tmp_path / "workspace"
    (root / "m/samples").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/BUILD.toml").write_text(BUILD.replace("RULES", RULES))
    net = silu_net()
    onnx.save(net.model("y"), root / "m/net.onnx")
    for number, sample in enumerate(net.samples(4)):
        np.save(root / f"m/samples/{number}.npy", sample["x"])
    return Zoo(root, tmp_path / "cache")


def test_the_table_of_what_rules_select_is_shown_and_kept(workspace: Zoo) -> None:
    lines = [
        "Layer Config Table",
        "Op Type / Layer name  Precision        Operators",
        "Silu                  U16              1",
        "Conv                  U8, output FP32  2",
        "DEFAULT -> DEFAULT    FP32             5, 3 of them by another rule",
    ]
    done = workspace.build("//m:axmodel", "//m:quant", "//m:check")
    assert done.out.count("\n".join(f"  {line}" for line in lines)) == 2
    kept = workspace.root / "axbuild-out/m/quant/quant/layer_config_table.txt"
    assert kept.read_text().splitlines() == lines
    assert done.executed.count("select") == 1
    assert workspace.build("//m:axmodel").out.count("Layer Config Table") == 1


def test_a_workspace_without_rules_has_no_table(workspace: Zoo) -> None:
    with workspace.edited("m/BUILD.toml", RULES, ""):
        done = workspace.build("//m:axmodel")
    assert "Layer Config Table" not in done.out
    assert "select" not in done.executed


@pytest.mark.parametrize(
    ("old", "new", "sentence", "hint"),
    [
        ('"Silu"', '"Silo"', "a layer rule is for operators of type Silo, and the model has none", ""),
        ('op_type = "Silu"', 'layer_name = "gat"', "a layer rule is for the operator 'gat', and the model has none",
         "did you mean gate?"),
        ('"Silu"', '"Conv"', "two layer rules of equal rank are for 'c' (Conv): one asks for U16, the other for U8, "
         "output FP32", ""),
        ('data_type = "U8", output_', "", "FP32 is asked for 'c' (Conv) and 1 more, and Conv computes on codes",
         'its output can be FP32: { op_type = "Conv", data_type = "U8", output_data_type = "FP32" }'),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_obeyed_fails_before_anything_is_observed(
    workspace: Zoo, old: str, new: str, sentence: str, hint: str
) -> None:
    with workspace.edited("m/BUILD.toml", old, new):
        done = workspace.run("build", "//m:axmodel")
    assert done.code == 2
    assert sentence in done.err
    assert hint in done.err
    assert not {"decode", "observe"} & set(done.executed)


OPTIONS = "layer_configs = ["


@pytest.mark.parametrize(
    "options",
    [
        'conv_bias_data_type = "FP32"\ndisable_auto_refine_scale = true',
        "disable_quant_optimization = true\nrefine_weight_threshold = -1",
        'ln_scale_data_type = "S32"\nrefine_weight_threshold = 0',
        'quant_op_processors = [{ op_name = "d", attrs = { lo = 99 } }]',
    ],
)
def test_what_is_compiled_with_an_option_is_the_quantised_model_to_the_last_bit(workspace: Zoo, options: str) -> None:
    with (
        workspace.edited("m/BUILD.toml", RULES, ""),
        workspace.edited("m/BUILD.toml", OPTIONS, f"{options}\n{OPTIONS}"),
    ):
        workspace.build("//m:check")


def test_the_highest_precision_is_told_beside_the_rules_and_checked(workspace: Zoo) -> None:
    rule = '{ op_type = "Add", data_type = "U8" }'
    options = "highest_mix_precision = true\ncheck = 1"
    with (
        workspace.edited("m/BUILD.toml", RULES, rule),
        workspace.edited("m/BUILD.toml", OPTIONS, f"{options}\n{OPTIONS}"),
    ):
        done = workspace.build("//m:check", "//m:axmodel")
    assert "  Add                   U8                1\n  all others            U16, weights S16  4\n" in done.out


@pytest.mark.parametrize("value", ["1e-3", "1e-4", "-0.5", "-2"])
def test_a_threshold_that_is_none_is_refused_in_its_line(workspace: Zoo, value: str) -> None:
    options = f"refine_weight_threshold = {value}\n{OPTIONS}"
    with workspace.edited("m/BUILD.toml", OPTIONS, options):
        done = workspace.run("build", "//m:quant")
    assert done.code == 2
    assert "m/BUILD.toml:15: error AX106: refine_weight_threshold" in done.err
