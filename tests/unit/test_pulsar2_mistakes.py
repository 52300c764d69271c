"""Wrong configurations: the code, the sentence, the line and the way out of each, whole."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.flags import parse_flags
from axbuild.toolchain.pulsar2.read import parse_config, read_config
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.settled import settled

NAMED = BuildConfig(input="model.onnx", output_dir="out")


def report(config: str, name: str = "c.json") -> str:
    """What a build with the configuration says."""
    with pytest.raises(AxError) as caught:
        settled(parse_config(config, name), NAMED)
    return str(caught.value)


def entry(where: str, fields: str) -> str:
    """A file whose third line is the one entry of a list."""
    *outer, inner = where.split(".")
    head, tail = "".join(f'"{name}": {{' for name in outer), "}" * len(outer)
    return f'{{{head}\n"{inner}": [\n{{{fields}}}\n]{tail}}}'


LAYER = "quant.layer_configs"
INPUT = '"tensor_name": "x"'
DATA = f'{INPUT}, "calibration_dataset": "d.tar"'
YUV = f'{INPUT}, "src_format": "YUV420SP", "tensor_format": "BGR"'
SELECTORS = "one of layer_name, layer_names, op_type, op_types, or start_tensor_names with end_tensor_names"
SHAPES = 'a text such as "input1:1x3x224x224;input2:1x1x112x112"'

CASES = [
    # names
    ('{\n"inptu": "a"}', 2, "AX521", "a configuration has no field 'inptu'", "did you mean 'input'?"),
    ('{\n"inputShapes": ""}', 2, "AX521", "a configuration has no field 'inputShapes'", "did you mean 'input_shapes'?"),
    ('{"quant": {\n"finetuneLr": 1}}', 2, "AX521", "quant has no field 'finetuneLr'", "did you mean 'finetune_lr'?"),
    ('{\n"calibration_method": "MSE"}', 2, "AX521", "a configuration has no field 'calibration_method'",
     "'calibration_method' is a field of quant"),
    ('{"compiler": {\n"start_tensor_names": []}}', 2, "AX521", "compiler has no field 'start_tensor_names'",
     "'start_tensor_names' is a field of quant.layer_configs[] and of compiler.sub_configs[]"),
    ('{"compiler": {\n"check_cosine_similarity": 1}}', 2, "AX521", "compiler has no field 'check_cosine_similarity'",
     "did you mean 'check_cosine_simularity'?"),
    (entry("compiler.sub_configs", '"start_tensor_names": ["a"], "end_tensor_names": ["b"], "sub_configs": []'), 3,
     "AX521", "compiler.sub_configs[0] has no field 'sub_configs'", "'sub_configs' is a field of compiler"),
    # values
    ('{"quant": {\n"finetune_epochs": "ten"}}', 2, "AX522",
     'quant.finetune_epochs takes a whole number of at least 1, got "ten"', ""),
    ('{"quant": {\n"finetune_epochs": "10"}}', 2, "AX522",
     'quant.finetune_epochs takes a whole number of at least 1, got "10"', "without quotes"),
    ('{"quant": {\n"finetune_epochs": 1.5}}', 2, "AX522",
     "quant.finetune_epochs takes a whole number of at least 1, got 1.5", ""),
    ('{"quant": {\n"finetune_lr": 0}}', 2, "AX522", "quant.finetune_lr takes a number above 0, got 0", ""),
    ('{"quant": {\n"precision_analysis": 1}}', 2, "AX522", "quant.precision_analysis takes true or false, got 1",
     "without quotes"),
    ('{"quant": {\n"precision_analysis": "true"}}', 2, "AX522",
     'quant.precision_analysis takes true or false, got "true"', "without quotes"),
    ('{\n"input": 317}', 2, "AX522", "input takes a text, got 317", 'write "317", in quotes'),
    ('{\n"input": null}', 2, "AX522", "input takes a text, got null", ""),
    ('{\n"quant": []}', 2, "AX522", "quant takes a table of fields, got []", ""),
    ("[]", 1, "AX522", "a configuration takes a table of fields, got []", ""),
    ('{"compiler": {\n"static_batch_sizes": 4}}', 2, "AX522",
     "compiler.static_batch_sizes takes a list, each item a whole number of at least 1, got 4", ""),
    ('{"compiler": {"static_batch_sizes": [1,\n0]}}', 2, "AX522",
     "compiler.static_batch_sizes[1] takes a whole number of at least 1, got 0", ""),
    ('{"compiler": {\n"max_dynamic_batch_size": 1e30}}', 2, "AX522",
     "compiler.max_dynamic_batch_size takes a whole number of at least 0, got 1e30", ""),
    ('{\n"npu_mode": "npu2"}', 2, "AX522", 'npu_mode takes NPU1, NPU2, NPU3 or NPU4, got "npu2"',
     "did you mean 'NPU2'?"),
    ('{\n"npu_mode": 9}', 2, "AX522", "npu_mode takes NPU1, NPU2, NPU3 or NPU4, got 9", ""),
    ('{\n"model_type": "Onnx"}', 2, "AX522", 'model_type takes ONNX, QuantAxModel or QuantONNX, got "Onnx"',
     "did you mean 'ONNX'?"),
    ('{\n"target_hardware": "AX651"}', 2, "AX522",
     'target_hardware takes AX650, AX620E, AX615, M76H, M57, AX637 or AX8860, got "AX651"', ""),
    ('{"quant": {\n"calibration_method": "minmax"}}', 2, "AX522",
     'quant.calibration_method takes MinMax, Percentile, MSE or KL, got "minmax"', "did you mean 'MinMax'?"),
    ('{"quant": {\n"precision_analysis_method": "Layer"}}', 2, "AX522",
     'quant.precision_analysis_method takes PerLayer or EndToEnd, got "Layer"', "did you mean 'PerLayer'?"),
    ('{"quant": {\n"refine_weight_threshold": 1e-3}}', 2, "AX522",
     "quant.refine_weight_threshold takes a number of at least 0 and below 0.0001, or -1, got 0.001", ""),
    ('{"quant": {\n"refine_weight_threshold": -0.5}}', 2, "AX522",
     "quant.refine_weight_threshold takes a number of at least 0 and below 0.0001, or -1, got -0.5", ""),
    ('{"quant": {\n"smooth_quant_threshold": 2}}', 2, "AX522",
     "quant.smooth_quant_threshold takes a number from 0 to 1, got 2", ""),
    ('{"quant": {\n"transformer_opt_level": 3}}', 2, "AX522",
     "quant.transformer_opt_level takes a whole number from 0 to 2, got 3", ""),
    ('{"quant": {\n"check": 2}}', 2, "AX522", "quant.check takes a whole number from 0 to 1, got 2", ""),
    ('{"compiler": {\n"check": 4}}', 2, "AX522", "compiler.check takes a whole number from 0 to 3, got 4", ""),
    ('{"quant": {\n"device": "cuda:8"}}', 2, "AX522",
     "quant.device takes cpu, cuda:0, cuda:1, cuda:2, cuda:3, cuda:4, cuda:5, cuda:6 or cuda:7, got \"cuda:8\"", ""),
    ('{"quant": {\n"conv_bias_data_type": "U8"}}', 2, "AX522",
     'quant.conv_bias_data_type takes S32 or FP32, got "U8"', ""),
    ('{\n"input_shapes": "data=1,3"}', 2, "AX522", f'input_shapes takes {SHAPES}, got "data=1,3"', ""),
    ('{\n"input_shapes": "data:1x0"}', 2, "AX522", f'input_shapes takes {SHAPES}, got "data:1x0"', ""),
    (entry("quant.input_configs", f'{DATA}, "calibration_size": 0'), 3, "AX522",
     "quant.input_configs[0].calibration_size takes a whole number of at least 1, or -1, got 0", ""),
    (entry("quant.input_configs", f'{DATA}, "calibration_std": [0]'), 3, "AX522",
     "quant.input_configs[0].calibration_std[0] takes a number above 0, got 0", ""),
    (entry("input_processors", f'{INPUT}, "padding_mode": "reflect"'), 3, "AX522",
     'input_processors[0].padding_mode takes constant, got "reflect"', ""),
    (entry("input_processors", f'{INPUT}, "src_dtype": "S64"'), 3, "AX522",
     'input_processors[0].src_dtype takes U8, S8, U16, S16, U32, S32, FP16 or FP32, got "S64"', ""),
    (entry("input_processors", f'{INPUT}, "tensor_layout": "NCWH"'), 3, "AX522",
     'input_processors[0].tensor_layout takes NHWC or NCHW, got "NCWH"', "did you mean 'NCHW'?"),
    (entry("input_processors", f'{INPUT}, "scale": -0.5'), 3, "AX522",
     "input_processors[0].scale takes a number of at least 0, got -0.5", ""),
    (entry("input_processors", f'{INPUT}, "padding": [-1, 0]'), 3, "AX522",
     "input_processors[0].padding[0] takes a whole number of at least 0, got -1", ""),
    (entry("op_processors", '"op_name": "pool6", "attrs": {"a": {"b": 1}}'), 3, "AX522",
     'op_processors[0].attrs.a takes a number, a text, true, false or a list of these, got {"b": 1}', ""),
    # twice, or not at all
    ('{"npu_mode": "NPU1",\n"npu_mode": "NPU2"}', 2, "AX523", "'npu_mode' is set twice, in line 1 already", ""),
    (entry("quant.input_configs", INPUT), 3, "AX525", "quant.input_configs[0] needs 'calibration_dataset'", ""),
    (entry("compiler.sub_configs", '"start_tensor_names": ["a"]'), 3, "AX525",
     "compiler.sub_configs[0] needs 'end_tensor_names'", ""),
    # contradictions
    ('{"target_hardware": "AX620E",\n"npu_mode": "NPU3"}', 2, "AX524", "npu_mode NPU3 is not for AX620E",
     "AX620E has NPU1, NPU2: how many cores are used, not which"),
    ('{"target_hardware": "M57",\n"npu_mode": "NPU2"}', 2, "AX524", "npu_mode NPU2 is not for M57",
     "M57 has NPU1: how many cores are used, not which"),
    ('{"target_hardware": "AX615",\n"model_type": "QuantONNX"}', 2, "AX524", "model_type QuantONNX is not for AX615",
     "model_type QuantONNX is for AX650 and M76H"),
    ('{\n"output_name": "a/b.axmodel"}', 2, "AX524", "output_name 'a/b.axmodel' is no file's name",
     "the folder is output_dir"),
    ('{\n"input_shapes": "a:1;a:2"}', 2, "AX524", "input_shapes has two shapes for 'a'", ""),
    ('{"compiler": {"static_batch_sizes": [1, 2],\n"max_dynamic_batch_size": 4}}', 2, "AX524",
     "compiler has both static_batch_sizes and max_dynamic_batch_size", "batches are either listed or found"),
    ('{"compiler": {\n"check_tensor_black_list": ["*"]}}', 2, "AX524",
     "compiler.check_tensor_black_list has '*', which is no regular expression: nothing to repeat at position 0", ""),
    (entry(LAYER, '"data_type": "U16"'), 3, "AX524", "quant.layer_configs[0] chooses no operators", SELECTORS),
    (entry(LAYER, '"layer_name": "a", "op_type": "Add", "data_type": "U16"'), 3, "AX524",
     "quant.layer_configs[0] has both layer_name and op_type", f"{SELECTORS}; two choices are two entries"),
    (entry(LAYER, '"op_types": ["Add"], "start_tensor_names": ["a"], "end_tensor_names": ["b"]'), 3, "AX524",
     "quant.layer_configs[0] has both op_types and start_tensor_names with end_tensor_names",
     f"{SELECTORS}; two choices are two entries"),
    (entry(LAYER, '"start_tensor_names": ["a"]'), 3, "AX524",
     "quant.layer_configs[0] has start_tensor_names without end_tensor_names", 'as in "end_tensor_names": ["DEFAULT"]'),
    (entry(LAYER, '"op_type": "Conv", "data_type": "FP32"'), 3, "AX524",
     "quant.layer_configs[0] asks for Conv in FP32, which it is never computed in",
     'for its output alone: "output_data_type": "FP32"'),
    ('{"quant": {"enable_lsq": true,\n"enable_adaround": true}}', 1, "AX524",
     "enable_adaround and enable_lsq are both set", "fine-tuning has one method"),
    (entry("quant.input_configs", f"{DATA}}}, {{{DATA}"), 3, "AX524",
     "quant.input_configs[1] is the second entry for 'x'", ""),
    (entry("quant.input_configs", f'{DATA}, "calibration_mean": [0, 0, 0], "calibration_std": [1]'), 3, "AX524",
     "quant.input_configs[0] has 3 calibration_mean and 1 calibration_std", ""),
    (entry("quant.input_configs", f'{DATA}, "calibration_format": "NumpyObject"'), 3, "AX524",
     "quant.input_configs[0] is NumpyObject for 'x', and its samples hold all inputs",
     'write "tensor_name": "DEFAULT"'),
    (entry("input_processors", YUV), 3, "AX524", "input_processors[0]: src_format YUV420SP needs a csc_mode",
     "FullRange for most cameras, LimitedRange for video streams, or Matrix with csc_mat"),
    (entry("input_processors", f'{INPUT}, "src_format": "YUYV422", "csc_mode": "FullRange"'), 3, "AX524",
     "input_processors[0]: src_format YUYV422 becomes BGR or RGB, and tensor_format is AutoColorSpace",
     "say which of them the model takes in tensor_format"),
    (entry("input_processors", f'{YUV}, "csc_mode": "Matrix", "csc_mat": [1, 2]'), 3, "AX524",
     "input_processors[0].csc_mat takes 12 numbers with csc_mode Matrix, got 2",
     "3 rows of 4, a row a channel of tensor_format: factors of Y, U and V, then what is added"),
    (entry("input_processors", f'{YUV}, "csc_mode": "Matrix", "csc_mat": [1, 0, 0, 8, 1, 0, 0, 0, 1, 0, 0, 0]'), 3,
     "AX524", "input_processors[0].csc_mat[3] takes a number above -9 and below 8, got 8",
     "what is added is a share of full scale, 1 for 256"),
    (entry("input_processors", f'{YUV}, "csc_mode": "Matrix", "csc_mat": [1, 0, -524289, 0, 1, 0, 0, 0, 1, 0, 0, 0]'),
     3, "AX524", "input_processors[0].csc_mat[2] takes a number above -524289 and below 524288, got -524289", ""),
    (entry("input_processors", f'{INPUT}, "slicing": [0, 0, 0]'), 3, "AX524",
     "input_processors[0].slicing has 3 amounts, an odd count",
     "begin and end of each axis in turn: [0, 0, 0, 0, 0, 1, 0, 1] cuts the last row and column"),
    (entry("input_processors", f'{INPUT}, "src_extra_shapes": [{{"shape": [1]}}]}}, {{"tensor_name": "y"'), 3, "AX524",
     "input_processors[1] has 0 src_extra_shapes, and input_processors[0] has 1",
     "each input has as many: those of one index are one size of the model"),
    (entry("output_processors", f'{INPUT}, "dst_perm": [0, 2]'), 3, "AX524",
     "output_processors[0].dst_perm is [0, 2], no order of axes", "as in [0, 2, 3, 1]"),
    (entry("const_processors", '"name": "c"'), 3, "AX524", "const_processors[0] has neither data nor data_path", ""),
    (entry("const_processors", '"name": "c", "data": [1], "data_path": "c.npy"'), 3, "AX524",
     "const_processors[0] has both data and data_path", ""),
    (entry("const_processors", '"name": "c", "data_path": "c.csv"'), 3, "AX524",
     "const_processors[0].data_path takes a .bin, .npy, .txt file", ""),
    # JSON itself
    ('{"a" 1}', 1, "AX520", "not valid JSON: a colon should stand here (column 6)", ""),
    ("{\n'input': 1}", 2, "AX520", "not valid JSON: a name in double quotes should stand here (column 1)", ""),
    ('{"input":\n\'a\'}', 2, "AX520", "not valid JSON: texts stand in double quotes (column 1)", ""),
    ('{"quant": {"check": True}}', 1, "AX520", "not valid JSON: True is no value (column 21)", "write true"),
    ('{"npu_mode": NPU2}', 1, "AX520", "not valid JSON: NPU2 is no value (column 14)", 'write "NPU2"'),
    ('{"quant": {', 1, "AX520", "not valid JSON: it ends before it is complete (column 12)",
     "a closing bracket may be missing"),
    ('{"input": "a\n"}', 1, "AX520", "not valid JSON: a text that does not end in its line (column 11)", ""),
    ('{ /* "input": 1 }', 1, "AX520", "not valid JSON: a comment that does not end (column 3)", ""),
    ("{} {}", 1, "AX520", "not valid JSON: something stands behind the end (column 4)", ""),
    ('{"a": [' + "[" * 70, 1, "AX520", "not valid JSON: more than 64 levels deep", ""),
]  # fmt: skip


@pytest.mark.parametrize(("config", "line", "code", "sentence", "hint"), CASES, ids=[case[3][:60] for case in CASES])
def test_a_wrong_configuration_is_named_with_its_line_and_a_way_out(config, line, code, sentence, hint) -> None:
    head, *rest = report(config).splitlines()
    assert head == f"c.json:{line}: error {code}: {sentence}"
    assert rest[0].startswith(f"  {line} | ")
    assert rest[1:] == ([f"  hint: {hint}"] if hint else [])


OTHER_FORMATS = [
    ("c.yaml", "npu_mode: NPU2\nnpu_mode: NPU1", 2, "AX523", "'npu_mode' is set twice, in line 1 already"),
    ("c.yaml", "quant:\n  - check: [", 2, "AX520",
     "not valid YAML: expected the node content, but found '<stream end>'"),
    ("c.yaml", "quant:\n  check: 9", 2, "AX522", "quant.check takes a whole number from 0 to 1, got 9"),
    ("c.yaml", "input: !!python/object/apply:os.system [ls]", 1, "AX522", 'input takes a text, got ["ls"]'),
    ("c.yaml", "quant: &a\n  check: *a", 1, "AX520", "not valid YAML: more than 64 levels deep"),
    ("c.yml", "--- {}\n--- {}", 2, "AX520", "not valid YAML: but found another document"),
    ("c.toml", 'npu_mode = "NPU1"\nnpu_mode = "NPU2"', 2, "AX520", "not valid TOML: Cannot overwrite a value"),
    ("c.toml", "[quant]\n\n[[quant.layer_configs]]\ndata_type = 3\n", 3, "AX524",
     "quant.layer_configs[0] chooses no operators"),
    ("c.toml", "[compiler]\nstatic_batch_sizes = [\n  1,\n  0,\n]", 4, "AX522", "compiler.static_batch_sizes[1] takes"),
    ("c.toml", "a = ", 1, "AX520", "not valid TOML: Invalid value"),
    ("c.prototxt", "npu_mode: NPU1\nnpu_mode: NPU2", 2, "AX523", "'npu_mode' is set twice, in line 1 already"),
    ("c.prototxt", "quant {\n  chekc: 1\n}", 2, "AX521", "quant has no field 'chekc'"),
    ("c.prototxt", "quant {\n  check: 1\n", 3, "AX520", "not valid prototxt: it ends before it is complete (column 1)"),
    ("c.prototxt", "npu_mode NPU1", 1, "AX520", "not valid prototxt: a colon should stand here (column 10)"),
    ("c.pbtxt", 'input: "\\q"', 1, "AX520", "not valid prototxt: a text with an escape that there is not (column 8)"),
    ("c.prototxt", "quant {\n  layer_configs {\n    op_type: Conv\n  }\n}", 3, "AX520",
     "not valid prototxt: Conv stands for a text, without quotes (column 14)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line", "code", "sentence"), OTHER_FORMATS)
def test_the_other_formats_name_lines_too(name, text, line, code, sentence) -> None:
    assert report(text, name).startswith(f"{name}:{line}: error {code}: {sentence}")


FLAGS = [
    (["--inptu", "a"], "AX526", "there is no flag --inptu", "did you mean '--input'?"),
    (["--check", "1"], "AX526", "there is no flag --check", "did you mean --quant.check or --compiler.check?"),
    (["--quant.input_configs", "a"], "AX526", "there is no flag --quant.input_configs", None),
    (["model.onnx"], "AX526", "'model.onnx' stands behind no flag", "the model is named by --input"),
    (["--input"], "AX525", "--input needs a value", ""),
    (["--config"], "AX525", "--config needs a value", ""),
    (["--input", "a", "b"], "AX526", "--input takes one value, 'b' is a second one", ""),
    (["--npu_mode", "npu2"], "AX522", '--npu_mode takes NPU1, NPU2, NPU3 or NPU4, got "npu2"', "did you mean 'NPU2'?"),
    (["--quant.enable_lsq", "maybe"], "AX522", '--quant.enable_lsq takes true or false, got "maybe"', ""),
    (["--compiler.static_batch_sizes", "1", "x"], "AX522",
     '--compiler.static_batch_sizes[1] takes a whole number of at least 1, got "x"', ""),
    (["--quant.refine_weight_threshold", "1e-3"], "AX522",
     "--quant.refine_weight_threshold takes a number of at least 0 and below 0.0001, or -1, got 0.001", ""),
    (["--compiler.check", "4"], "AX522", "--compiler.check takes a whole number from 0 to 3, got 4", ""),
    (["--input_shapes", "a:b"], "AX522", f'--input_shapes takes {SHAPES}, got "a:b"', ""),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "sentence", "hint"), FLAGS, ids=[case[2] for case in FLAGS])
def test_a_wrong_command_line_names_the_flag(arguments, code, sentence, hint) -> None:
    with pytest.raises(AxError) as caught:
        parse_flags(arguments)
    assert (caught.value.code, caught.value.sentence) == (code, sentence)
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize("name", ["input", "output_dir"])
def test_what_neither_a_flag_nor_the_file_names_is_asked_for(name) -> None:
    flags = parse_flags(["--input", "a", "--output_dir", "b"]).settings
    with pytest.raises(AxError) as caught:
        settled(parse_config("{}", "c.json"), BuildConfig(**{"input": "a", "output_dir": "b"} | {name: None}))
    assert str(caught.value).splitlines() == [
        f"error AX525: --{name} is missing",
        f"  hint: give --{name}, or {name} in the file of --config",
    ]
    assert settled(None, flags).config == flags


def test_flags_that_contradict_the_file_are_named_as_flags() -> None:
    file = parse_config('{"target_hardware": "AX620E"}', "c.json")
    with pytest.raises(AxError, match="npu_mode NPU3 is not for AX620E") as caught:
        settled(file, parse_flags(["--input", "a", "--output_dir", "b", "--npu_mode", "NPU3"]).settings)
    assert str(caught.value.place) == "--npu_mode"


@pytest.mark.parametrize(
    ("name", "data", "sentence", "hint"),
    [
        ("c.ini", b"", "{} is no configuration file by its name", "its name should end in .json, .yaml, .yml"),
        ("c.json5", b"", "{} is no configuration file by its name", "its name should end in .json, .yaml, .yml"),
        ("c.json", b'{\n"input": "\xff"}', "byte 12 is not UTF-8", "save it as UTF-8"),
        ("c.json", b" " * (1 << 20) + b"{}", "{} is larger than 1,048,576 bytes, which no configuration is", ""),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, name, data, sentence, hint) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(AxError) as caught:
        read_config(path)
    shown = name if ".json5" in name or ".ini" in name else path
    assert (caught.value.code, caught.value.sentence) == ("AX520", sentence.format(shown))
    assert caught.value.hint.startswith(hint)


def test_a_file_that_there_is_not_is_named(tmp_path) -> None:
    with pytest.raises(AxError) as caught:
        read_config(tmp_path / "none.json")
    assert caught.value.sentence == f"cannot read {tmp_path / 'none.json'}: No such file or directory"
