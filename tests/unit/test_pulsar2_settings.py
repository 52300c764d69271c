"""Flags over a file, defaults, what sub-graphs inherit, what a build writes down, and what is said without effect."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import pytest

from axbuild.errors import AxWarning
from axbuild.toolchain.pulsar2.declared import declared_fields, flag_fields
from axbuild.toolchain.pulsar2.flags import help_text, parse_flags
from axbuild.toolchain.pulsar2.merge import inherited
from axbuild.toolchain.pulsar2.message import settings_of
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import (
    BuildConfig,
    CompilerConfig,
    QuantConfig,
    defaulted,
    shapes_of,
)
from axbuild.toolchain.pulsar2.settled import settled
from axbuild.toolchain.pulsar2.write import written
from axbuild.workspace.rulepack import load_rules

REQUIRED = ["--input", "model.onnx", "--output_dir", "out"]
_FLAGS = """
config input output_dir output_name work_dir model_type target_hardware npu_mode input_shapes
onnx_opt.disable_onnx_optimization onnx_opt.enable_onnxsim onnx_opt.model_check
onnx_opt.disable_transformation_check onnx_opt.save_tensors_data quant.calibration_method quant.precision_analysis
quant.precision_analysis_method quant.precision_analysis_mode quant.highest_mix_precision quant.conv_bias_data_type
quant.refine_weight_threshold quant.enable_smooth_quant quant.smooth_quant_threshold quant.smooth_quant_strength
quant.transformer_opt_level quant.input_sample_dir quant.ln_scale_data_type quant.check quant.disable_auto_refine_scale
quant.enable_easy_quant quant.disable_quant_optimization quant.enable_brecq quant.enable_lsq quant.enable_adaround
quant.finetune_epochs quant.finetune_block_size quant.finetune_batch_size quant.finetune_lr quant.device
compiler.static_batch_sizes compiler.max_dynamic_batch_size compiler.ddr_bw_limit compiler.disable_ir_fix compiler.check
compiler.npu_perf compiler.check_mode compiler.check_rtol compiler.check_atol compiler.check_cosine_simularity
compiler.check_tensor_black_list compiler.enable_slice_mode compiler.enable_tile_mode
compiler.enable_data_soft_compression compiler.input_sample_dir
"""
VENDORS_FLAGS = _FLAGS.split()


def settings(*flags: str, file: str | None = None):
    return settled(parse_config(file, "c.json") if file else None, parse_flags([*REQUIRED, *flags]).settings)


def warnings(*flags: str, file: str | None = None) -> list[str]:
    found = settings(*flags, file=file).warnings
    assert all(isinstance(warning, AxWarning) for warning in found)
    return [str(warning) for warning in found]


def test_the_help_lists_every_flag_of_the_vendor_with_type_default_and_choices() -> None:
    text = help_text()
    assert len(VENDORS_FLAGS) == 54
    assert {"config", *flag_fields()} == {*VENDORS_FLAGS, "debug.dump_frontend_graph"}
    usage, options = text.split("\noptions:\n")
    for flag in VENDORS_FLAGS:
        assert f"[--{flag}" in usage
        assert re.search(rf"^  --{re.escape(flag)}( |$)", options, re.MULTILINE)
    plain = " ".join(options.split())
    assert "type: enum. required: false. default: ONNX. option: ONNX, QuantAxModel, QuantONNX." in plain
    assert "type: float. required: false. default: 1e-6. limitation: at least 0 and below 0.0001, or -1." in plain
    assert "--input Path of the model. type: string. required: true." in plain
    assert "default: same as output_dir." in plain
    assert "--compiler.static_batch_sizes [...] The batch sizes" in plain
    assert "type: int array. required: false. default: []." in plain
    assert max(map(len, text.splitlines())) <= 80


def test_the_help_says_that_npu_mode_counts_cores() -> None:
    assert "How many NPU cores the model uses, not which" in " ".join(help_text().split())


@pytest.mark.parametrize("words", [[], ["1"], ["true"], ["True"]])
def test_a_toggle_is_bare_or_has_a_value(words) -> None:
    line = parse_flags(["--quant.precision_analysis", *words, "--npu_mode", "NPU2"])
    assert line.settings.quant.precision_analysis is True
    assert line.settings.npu_mode == "NPU2"


@pytest.mark.parametrize("words", [["0"], ["false"]])
def test_a_toggle_is_switched_off(words) -> None:
    assert parse_flags(["--onnx_opt.enable_onnxsim", *words]).settings.onnx_opt.enable_onnxsim is False


def test_lists_signs_and_equals_signs() -> None:
    line = parse_flags(
        [
            "--compiler.static_batch_sizes",
            "1",
            "2",
            "4",
            "--quant.refine_weight_threshold",
            "-1",
            "--input=a=b",
            "--config",
            "c",
        ]
    )
    assert line.settings.compiler.static_batch_sizes == (1, 2, 4)
    assert line.settings.quant.refine_weight_threshold == -1
    assert (line.settings.input, line.config, line.help) == ("a=b", "c", False)
    assert parse_flags(["--compiler.check_tensor_black_list"]).settings.compiler.check_tensor_black_list == ()
    assert parse_flags(["-h"]).help


@pytest.mark.parametrize("model_type", ["ONNX", "QuantAxModel", "QuantONNX"])
def test_each_model_type_is_accepted(model_type) -> None:
    assert settings("--model_type", model_type).config.model_type == model_type


@pytest.mark.parametrize(
    ("target", "modes"),
    [("AX650", 3), ("AX620E", 2), ("AX615", 2), ("M76H", 3), ("M57", 1), ("AX637", 1)],
)
def test_each_target_takes_its_own_npu_modes(target, modes) -> None:
    for cores in range(1, modes + 1):
        flags = ("--target_hardware", target, "--npu_mode", f"NPU{cores}")
        assert settings(*flags).resolved.npu_mode == f"NPU{cores}"


def test_input_shapes_are_read_by_name() -> None:
    assert shapes_of("a:1x3x224x224;b:1x1x112x112") == {"a": (1, 3, 224, 224), "b": (1, 1, 112, 112)}
    assert shapes_of("op:x:5;") == {"op:x": (5,)}
    assert shapes_of("") == {}


def test_flags_stand_over_the_file_and_unset_ones_leave_it() -> None:
    file = '{"quant": {"calibration_method": "MinMax", "precision_analysis": false, "finetune_epochs": 7}}'
    quant = settings("--quant.calibration_method", "MSE", "--quant.precision_analysis", "1", file=file).config.quant
    assert (quant.calibration_method, quant.precision_analysis, quant.finetune_epochs) == ("MSE", True, 7)
    assert str(quant.places["calibration_method"]) == "--quant.calibration_method"
    assert str(quant.places["finetune_epochs"]) == "c.json:1"
    assert quant.finetune_lr is None


def test_a_flag_that_sets_the_default_stands_over_the_file_too() -> None:
    assert settings("--compiler.check", "0", file='{"compiler": {"check": 2}}').config.compiler.check == 0


def test_defaults_are_the_vendors() -> None:
    config = settings().resolved
    assert (config.output_name, config.work_dir, config.npu_mode) == ("compiled.axmodel", "out", "NPU1")
    assert (config.model_type, config.target_hardware) == ("ONNX", "AX650")
    quant, compiler = config.quant, config.compiler
    tuning = (quant.finetune_epochs, quant.finetune_block_size, quant.finetune_batch_size, quant.finetune_lr)
    assert tuning == (500, 4, 1, 1e-3)
    assert (quant.smooth_quant_threshold, quant.smooth_quant_strength) == (0.2, 0.6)
    assert (quant.refine_weight_threshold, quant.transformer_opt_level, quant.device) == (1e-6, 0, "cpu")
    analysis = (quant.precision_analysis, quant.precision_analysis_method, quant.precision_analysis_mode)
    assert analysis == (False, "PerLayer", "Reference")
    assert (compiler.static_batch_sizes, compiler.max_dynamic_batch_size) == ((), 0)
    assert (compiler.check, compiler.check_mode, compiler.check_cosine_simularity) == (0, "CheckOutput", 0.999)
    assert config.onnx_opt.save_tensors_data is False


def test_work_dir_is_output_dir_unless_it_is_set() -> None:
    assert settings("--work_dir", "tmp").resolved.work_dir == "tmp"


def test_a_sub_graph_inherits_what_it_leaves_unset() -> None:
    file = """{"compiler": {"check": 1, "check_rtol": 1e-3, "sub_configs": [
        {"start_tensor_names": ["a"], "end_tensor_names": ["b"], "check_rtol": 1e-5},
        {"start_tensor_names": ["b"], "end_tensor_names": ["c"], "check": 0}]}}"""
    compiler = settings(file=file).resolved.compiler
    first, second = compiler.sub_configs
    assert (first.check, second.check_rtol) == (None, None)
    parts = [inherited(sub, compiler) for sub in compiler.sub_configs]
    assert [(part.check, part.check_rtol) for part in parts] == [(1, 1e-5), (0, 1e-3)]
    assert parts[0].start_tensor_names == ("a",)


def test_a_sub_graph_that_lists_its_batches_has_not_the_models_dynamic_ones_nor_the_other_way_round() -> None:
    ends = '"start_tensor_names": ["a"], "end_tensor_names": ["b"]'
    listed = '{"compiler": {"max_dynamic_batch_size": 4, "sub_configs": [{%s, "static_batch_sizes": [1, 2]}]}}'
    found = '{"compiler": {"static_batch_sizes": [1, 2], "sub_configs": [{%s, "max_dynamic_batch_size": 4}]}}'
    both = [settings(file=file % ends).resolved.compiler for file in (listed, found)]
    parts = [inherited(one.sub_configs[0], one) for one in both]
    assert [(one.static_batch_sizes, one.max_dynamic_batch_size) for one in parts] == [((1, 2), None), (None, 4)]


def test_what_a_build_went_by_is_read_back_as_the_same_and_settles_to_itself() -> None:
    file = '{"npu_mode": "NPU2", "quant": {"layer_configs": [{"op_type": "Add", "data_type": "U16"}]}}'
    resolved = settings("--quant.calibration_method", "MSE", "--compiler.check_rtol", "1e-4", file=file).resolved
    text = written(resolved)
    assert '"calibration_method": "MSE"' in text
    assert '"check_rtol": 0.0001' in text
    assert parse_config(text, "build_context.json") == resolved
    again = settled(parse_config(text, "build_context.json"), parse_flags([]).settings)
    assert again.config == resolved
    assert again.resolved == resolved
    assert "output_data_type" not in text


def test_settings_without_effect_are_told_with_their_place() -> None:
    assert warnings("--compiler.check_rtol", "1e-3") == [
        "warning AX527: --compiler.check_rtol: compiler.check_rtol has no effect without check 1"
    ]
    assert warnings(file=written(settings().resolved)) == []


def processor(fields: str) -> str:
    return f'{{"input_processors": [{{"tensor_name": "x",\n{fields}}}]}}'


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ('{"quant": {"input_configs": [{"tensor_name": "x", "calibration_dataset": "d", "calibration_format": "Numpy",'
         '\n"calibration_mean": [1]}]}}',
         "c.json:2: quant.input_configs[0].calibration_mean has no effect with calibration_format Numpy, whose samples "
         "are taken as they are"),
        ('{"quant": {"finetune_lr": 0.1}}',
         "c.json:1: quant.finetune_lr has no effect without enable_adaround or enable_brecq or enable_lsq"),
        ('{"quant": {"smooth_quant_strength": 0.5}}',
         "c.json:1: quant.smooth_quant_strength has no effect without enable_smooth_quant"),
        ('{"quant": {"precision_analysis_method": "EndToEnd"}}',
         "c.json:1: quant.precision_analysis_method has no effect without precision_analysis"),
        ('{"quant": {"layer_configs": [{"op_type": "Add", "output_data_type": "U16"}]}}',
         "c.json:1: quant.layer_configs[0].output_data_type has no effect with Add: it is for Conv alone"),
        ('{"model_type": "QuantAxModel", "quant": {"calibration_method": "KL"}}',
         "c.json:1: quant.calibration_method has no effect with model_type QuantAxModel, which is quantised already"),
        ('{"model_type": "QuantAxModel",\n"quant": {"check": 1}}',
         "c.json:2: quant.check has no effect with model_type QuantAxModel, which is quantised already"),
        ('{"model_type": "QuantAxModel",\n"quant": {"finetune_lr": 0.1}}',
         "c.json:2: quant.finetune_lr has no effect with model_type QuantAxModel, which is quantised already"),
        ('{"model_type": "QuantAxModel",\n"onnx_opt": {"model_check": true}}',
         "c.json:2: onnx_opt.model_check has no effect with model_type QuantAxModel, which is quantised already"),
        ('{"model_type": "QuantAxModel",\n"op_processors": [{"op_name": "a", "attrs": {"axis": 1}}]}',
         "c.json:2: op_processors has no effect with model_type QuantAxModel, which is quantised already"),
        ('{"compiler": {"disable_ir_fix": true}}',
         "c.json:1: compiler.disable_ir_fix has no effect without static_batch_sizes or max_dynamic_batch_size"),
        ('{"compiler": {"check": 1, "check_cosine_simularity": 0.9}}',
         "c.json:1: compiler.check_cosine_simularity has no effect without check 3"),
        ('{"compiler": {"check_mode": "CheckPerLayer"}}', "c.json:1: compiler.check_mode has no effect without check"),
        (processor('"src_format": "BGR", "tensor_format": "BGR", "csc_mode": "FullRange"'),
         "c.json:2: input_processors[0].csc_mode has no effect with src_format BGR, which is not converted"),
        (processor('"csc_mat": [1]'), "c.json:2: input_processors[0].csc_mat has no effect with csc_mode NoCSC"),
        (processor('"src_format": "BGR", "tensor_format": "RGB"'),
         "c.json:2: input_processors[0]: BGR does not become RGB; channels are taken in the order in which they come"),
        (processor('"src_format": "YUV420SP", "tensor_format": "RGB", "csc_mode": "FullRange",\n"src_layout": "NCHW"'),
         "c.json:3: input_processors[0].src_layout has no effect with src_format YUV420SP, which is NHWC"),
        (processor('"padding_constant_value": 3'),
         "c.json:2: input_processors[0].padding_constant_value has no effect without padding"),
        (processor('"zeropoint": 3'), "c.json:2: input_processors[0].zeropoint has no effect without scale"),
        ('{"output_processors": [{"tensor_name": "DEFAULT",\n"tensor_layout": "NHWC"}]}',
         "c.json:2: output_processors[0].tensor_layout has no effect here: an output keeps the model's order of axes, "
         "but for dst_perm"),
    ],
)  # fmt: skip
def test_what_the_vendor_accepts_without_effect_is_a_warning(file, sentence) -> None:
    assert warnings(file=file) == [f"warning AX527: {sentence}"]


def test_outputs_that_a_default_stands_for_are_told() -> None:
    assert warnings(file='{"output_processors": [{"tensor_name": "y"}]}') == [
        "warning AX528: c.json:1: outputs without an entry of output_processors keep their axes and leave in FP32"
    ]
    assert warnings(file='{"output_processors": [{"tensor_name": "DEFAULT"}]}') == []


def test_a_conv_may_leave_in_fp32() -> None:
    file = '{"quant": {"layer_configs": [{"op_type": "Conv", "data_type": "U8", "output_data_type": "FP32"}]}}'
    assert settings(file=file).config.quant.layer_configs[0].output_data_type == "FP32"


def test_every_field_has_a_declaration_and_numbers_are_unique() -> None:
    for message in {field.owner for field in declared_fields()}:
        declared = settings_of(message)
        assert [field.name for field in fields(message) if field.name != "places"] == list(declared)
        numbers = [setting.number for setting in declared.values()]
        assert len(numbers) == len(set(numbers))
        assert all(setting.about.endswith(".") for setting in declared.values())


def test_every_default_is_one_that_its_field_takes() -> None:
    empty = BuildConfig()
    assert parse_config(written(defaulted(empty)), "c.json") == defaulted(empty)
    assert written(empty) == "{}\n"
    assert not list(QuantConfig().given()) + list(CompilerConfig().given())


def test_every_vendor_field_that_a_rule_names_is_declared() -> None:
    known = {field.path.replace("[]", "") for field in declared_fields()}
    said = {a.vendor for rule in load_rules(None).rules.values() for a in rule.attributes.values() if a.vendor}
    assert said - known == set()


def test_the_way_to_a_configuration_imports_nothing_heavy() -> None:
    code = """import sys
from axbuild.toolchain.pulsar2 import flags, read, schema, settled, write
print([name for name in ("yaml", "google", "numpy", "onnx", "click", "rtoml") if name in sys.modules])"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
