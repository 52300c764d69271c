"""The standard rules: the actions they lay out, what they share, and every setting that would have no effect."""

import dataclasses

import pytest
from npu_world import CHIPS

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.graph.plan import plain
from axbuild.toolchain.npu.options import CompileOptions
from axbuild.workspace.artifact import Entry, Output, Result, SourceFiles, Tree
from rules_world import AXMODEL, CHAIN, CHECK, TWO_INPUTS, layer


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


UNCONVERTED = {"csc_mode": "NoCSC", "csc_mat": [], "slicing": [], "padding": [], "padding_constant_value": 0}


def out(target, action, name):
    return Output((f"//m:{target}", action), name)


def test_the_whole_chain_is_laid_out(lay):
    actions, targets = lay(CHAIN + AXMODEL + CHECK)
    assert list(actions) == [
        ("float", "optimize"),
        ("quant", "decode"),
        ("quant", "watch"),
        ("quant", "spread"),
        ("quant", "calibrate"),
        ("quant", "quantize"),
        ("axmodel", "preflight"),
        ("axmodel", "partition"),
        ("axmodel", "split"),
        ("axmodel", "fuse"),
        ("check", "answers"),
        ("check", "compare"),
    ]
    assert actions["float", "optimize"].inputs == {"model": SourceFiles((("model.onnx", "m/net.onnx"),), tree=True)}
    assert actions["quant", "decode"].inputs == {
        "source": SourceFiles((("samples.tar", "m/samples.tar"),), tree=True),
        "interface": out("float", "optimize", "interface.json"),
    }
    normal = {"mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.0]}
    decoding = {"input": "", "format": "Image", "size": 32, "tensor_format": "RGB", "apart": [], "part": False} | normal
    assert actions["quant", "decode"].params == decoding
    inputs = [{"name": "", "format": "Image"} | normal]
    assert actions["quant", "spread"].params == {"inputs": inputs}
    assert actions["quant", "spread"].inputs["samples"] == (out("quant", "decode", "samples/"),)
    assert actions["quant", "spread"].inputs["shards"] == (out("quant", "decode", "shards.json"),)
    statistics = Entry(Result(("//m:quant", "spread")), "statistics.msgpack")
    assert actions["quant", "calibrate"].inputs["statistics"] == statistics
    assert actions["quant", "calibrate"].params == {
        "method": "MinMax",
        "bias_correction": None,
        "layer_configs": [],
        "highest_mix_precision": False,
        "disable_quant_optimization": False,
        "baking": {
            "conv_bias_data_type": "S32",
            "refine_weight_threshold": 1e-6,
            "disable_auto_refine_scale": False,
            "ln_scale_data_type": "FP32",
        },
        "state": {},
        "transformer_opt_level": 0,
    }
    assert actions["quant", "quantize"].inputs["scheme"] == out("quant", "calibrate", "scheme.msgpack")
    processor = {"tensor_name": "DEFAULT", "tensor_format": "RGB", "src_format": "RGB", "src_dtype": "FP32"}
    processor |= {"src_layout": "NCHW", "mean": inputs[0]["mean"], "std": inputs[0]["std"]}
    processor |= UNCONVERTED
    target = {"chip": plain(CHIPS["AX650"].support_in("NPU1")), "input_processors": [processor]}
    target |= {"output_processors": [], "sub_configs": []}
    assert actions["axmodel", "preflight"].params == target | {"declared": [], "settled": True}
    assert actions["axmodel", "partition"].params == target | {"disable_ir_fix": False}
    options = {"options": dataclasses.asdict(CompileOptions()), "sub_options": []}
    assert actions["axmodel", "split"].params == options | {
        "batches": [1],
        "chip": plain(CHIPS["AX650"].preset("NPU1")),
    }
    nameplate = {"name": "AX650", "number": 0, "npu_mode": "NPU1"}
    expected = {"shown_batch": 0, "compressed": False, "chip": nameplate}
    assert actions["axmodel", "fuse"].params == options | expected
    assert actions["axmodel", "fuse"].inputs["programs"] == (Result(("//m:axmodel", "split")),)
    assert actions["check", "compare"].params == {
        "level": "close",
        "rtol": 1e-5,
        "atol": 0.0,
        "cosine": 0.0,
        "layers": False,
        "tensor_black_list": [],
        "part": "",
    }
    asked = {"inputs": inputs, "input_processors": [processor], "layers": False, "processed": False}
    asked |= {"shape_group": 0, "sub_configs": [], "start": None}
    assert actions["check", "answers"].params == asked
    answers = actions["check", "answers"].id
    assert actions["check", "compare"].inputs == {
        side: Entry(Result(answers), f"{side}/") for side in ("simulated", "reference")
    }
    assert targets["check"].verdicts == (out("check", "compare", "verdict.json"),)
    assert list(targets["axmodel"].outputs) == [
        "compiled.axmodel",
        "quant/quant_axmodel.onnx",
        "quant/quant_axmodel.json",
        "frontend/",
        "compiler/",
        "compiler/partition.json",
    ]


@pytest.mark.parametrize(("written", "chip"), [("M76H", "AX650"), ("AX630C", "AX620E"), ("AX615", "AX615")])
def test_an_alias_is_the_chip_it_stands_for(lay, written, chip):
    actions, _ = lay(CHAIN + AXMODEL + f'target_hardware = "{written}"\n')
    mine = {name: action.params for (_, name), action in actions.items()}
    actions, _ = lay(CHAIN + AXMODEL + f'target_hardware = "{chip}"\n')
    assert mine == {name: action.params for (_, name), action in actions.items()}
    assert mine["fuse"]["chip"]["name"] == chip


def test_every_option_of_the_compiler_arrives_where_it_is_read(lay):
    actions, _ = lay(CHAIN + AXMODEL + "ddr_bw_limit = 3.5\n")
    record = {field.name: field.default for field in dataclasses.fields(CompileOptions)} | {"ddr_bw_limit": 3.5}
    assert actions["axmodel", "split"].params["options"] == record
    assert actions["axmodel", "fuse"].params["options"] == record


@pytest.mark.parametrize("line", ['effort = "high"', "enable_slice_mode = true", "enable_tile_mode = true"])
def test_modes_and_effort_are_told_to_nobody_before_the_compilation(lay, line):
    plain, asked = (lay(CHAIN + AXMODEL + extra)[0] for extra in ("", line + "\n"))
    changed = {name for name, action in plain.items() if action.params != asked[name].params}
    assert changed == {("axmodel", "split"), ("axmodel", "fuse")}


def test_only_the_preflight_is_one(lay):
    actions, _ = lay(CHAIN + AXMODEL + CHECK)
    assert [name for name, action in actions.items() if action.preflight] == [("axmodel", "preflight")]


def test_a_processor_inherits_from_the_calibration_set(lay):
    actions, _ = lay(CHAIN + AXMODEL + 'input_processors = [{ src_dtype = "U8", src_layout = "NHWC" }]\n')
    assert actions["axmodel", "partition"].params["input_processors"] == [
        {
            "tensor_name": "DEFAULT",
            "tensor_format": "RGB",
            "src_format": "RGB",
            "src_dtype": "U8",
            "src_layout": "NHWC",
            "mean": [127.5, 127.5, 127.5],
            "std": [127.5, 127.5, 127.0],
            **UNCONVERTED,
        }
    ]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "input_processors = []",
        'input_processors = [{ tensor_name = "DEFAULT" }]',
        'input_processors = [{ tensor_format = "RGB", src_format = "RGB", mean = [127.5] }]',
        'input_processors = [{ src_format = "AutoColorSpace", std = [127.5, 127.5, 127.0] }]',
    ],
)
def test_what_says_the_same_is_the_same_action(lay, written):
    bare, _ = lay(CHAIN + AXMODEL)
    actions, _ = lay(CHAIN + AXMODEL + written + "\n")
    assert actions["axmodel", "partition"].params == bare["axmodel", "partition"].params


def test_neutral_normalisation_is_none(lay):
    plain = CHAIN.replace("mean = [127.5]", "").replace("std = [127.5, 127.5, 127.0]", "")
    neutral = CHAIN.replace("[127.5]", "[0, 0, 0]").replace("[127.5, 127.5, 127.0]", "[1]")
    for text in (plain, neutral):
        actions, _ = lay(text)
        assert actions["quant", "spread"].params["inputs"][0]["mean"] == []
        assert actions["quant", "spread"].params["inputs"][0]["std"] == []


@pytest.mark.parametrize(
    ("written", "evens"),
    [
        ("", False),
        ('method = "KL"\n', False),
        ('method = "Auto"\n', True),
        ('equalisation = "on"\n', True),
        ('method = "Auto"\nequalisation = "off"\n', False),
    ],
)
def test_auto_evens_channels_and_what_follows_has_the_even_model(lay, written, evens):
    actions, _ = lay(CHAIN + written + AXMODEL)
    assert (("quant", "equalize") in actions) == evens
    model = out("quant", "equalize", "optimized/") if evens else out("float", "optimize", "optimized/")
    scales = "choose_ranges" if "Auto" in written else "calibrate"
    for name in (scales, "quantize"):
        assert actions["quant", name].inputs["model"] == model
    spread = Entry(Result(("//m:quant", "spread")), "statistics.msgpack")
    source = out("quant", "equalize", "statistics.msgpack") if evens else spread
    assert actions["quant", scales].inputs["statistics"] == source


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("", ["calibrate"]),
        ('weight_rounding = "on"\n', ["calibrate", "round_weights"]),
        ('method = "Auto"\n', ["choose_ranges", "round_weights"]),
        ('method = "Auto"\nweight_rounding = "off"\n', ["choose_ranges"]),
        ('method = "Auto"\nauto_precision = { min_snr_db = 30 }\n', ["calibrate", "round_weights"]),
        ('method = "Auto"\nstate = { y = "b" }\n', ["calibrate"]),
    ],
)
def test_auto_measures_ranges_and_rounds_weights_where_samples_stand_by_themselves(lay, written, names):
    actions, _ = lay(CHAIN + written + AXMODEL)
    found = [name for target, name in actions if target == "quant"]
    assert [name for name in found if name in ("calibrate", "choose_ranges", "round_weights")] == names


def test_weights_are_not_rounded_by_the_steps_of_a_state(lay):
    with pytest.raises(AxError) as caught:
        lay(CHAIN + 'weight_rounding = "on"\nstate = { y = "b" }\n' + AXMODEL)
    assert "weights are rounded by samples that stand by themselves" in str(caught.value)


def test_inputs_with_sets_of_their_own_have_actions_and_processors_of_their_own(lay):
    actions, _ = lay(TWO_INPUTS + AXMODEL + 'input_processors = [{ tensor_name = "b", src_layout = "NHWC" }]\n' + CHECK)
    assert actions["quant", "decode_b"].params == {
        "input": "b",
        "format": "Numpy",
        "size": -1,
        "tensor_format": "AutoColorSpace",
        "mean": [],
        "std": [],
        "apart": [],
        "part": False,
    }
    assert [data["name"] for data in actions["quant", "spread"].params["inputs"]] == ["a", "b"]
    processors = actions["axmodel", "partition"].params["input_processors"]
    assert [(one["tensor_name"], one["src_layout"], one["mean"]) for one in processors] == [
        ("a", "NCHW", [127.5, 127.5, 127.5]),
        ("b", "NHWC", []),
    ]
    assert len(actions["check", "answers"].inputs["samples"]) == 2


def test_the_preflight_is_told_what_was_written_of_the_inputs(lay):
    actions, _ = lay(TWO_INPUTS + AXMODEL + 'input_processors = [{ src_layout = "NHWC" }]\n')
    params = actions["axmodel", "preflight"].params
    assert params["declared"] == [{"tensor_name": "DEFAULT", "src_layout": "NHWC"}]
    assert params["input_processors"] == actions["axmodel", "partition"].params["input_processors"]


BY_HAND = """
[[npu_subgraph]]
name = "b1"
quant = ":quant"

[[npu_subgraph]]
name = "b4"
quant = ":quant"
batch = 4

[[axmodel]]
name = "by_hand"
subgraphs = [":b4", ":b1"]
"""


def test_subgraphs_spelled_out_are_the_same_actions(lay):
    actions, targets = lay(CHAIN + AXMODEL + "static_batch_sizes = [1, 4]\n" + BY_HAND)
    whole, hand = actions["axmodel", "fuse"], actions["by_hand", "fuse"]
    assert hand.params == whole.params
    assert hand.inputs["programs"] == (Tree((("", Result(("//m:b1", "split"))), ("", Result(("//m:b4", "split"))))),)
    for name in ("partition", "split", "preflight"):
        assert actions["b4", name].stage == actions["axmodel", name].stage
    assert actions["b4", "partition"].params == actions["axmodel", "partition"].params
    assert actions["b4", "split"].params == actions["axmodel", "split"].params | {"batches": [4]}
    assert list(targets["by_hand"].outputs) == list(targets["axmodel"].outputs)


def test_a_check_on_other_samples_decodes_them_as_calibration_did(lay):
    others = '[[calibration_set]]\nname = "others"\nsrc = "a.npy"\nsize = -1\ntensor_format = "RGB"\n'
    others += "mean = [127.5]\nstd = [127.5, 127.5, 127.0]\n"
    actions, _ = lay(CHAIN + AXMODEL + others + CHECK + 'samples = ":others"\n')
    assert actions["check", "decode"].params == actions["quant", "decode"].params | {"size": -1}
    assert actions["check", "answers"].inputs["samples"] == (out("check", "decode", "samples/"),)


def test_a_limit_of_another_level_is_in_nobodys_parameters(lay):
    settings = "[defaults.check]\nrtol = 1e-3\n"
    text = CHAIN + AXMODEL + CHECK.replace("close", "cosine") + "cosine = 0.99\n"
    for head in ("", settings):
        actions, _ = lay(head + text)
        limits = {name: actions["check", "compare"].params[name] for name in ("level", "rtol", "atol", "cosine")}
        assert limits == {"level": "cosine", "rtol": 0.0, "atol": 0.0, "cosine": 0.99}


def test_a_float_model_of_a_made_file_stands_in_a_folder(lay):
    text = '[[filegroup]]\nname = "files"\nsrcs = ["net.onnx"]\n' + CHAIN.replace('"net.onnx"', '":files"')
    actions, _ = lay(text)
    assert actions["float", "optimize"].inputs == {"model": SourceFiles((("model.onnx", "m/net.onnx"),), tree=True)}


def test_a_filegroup_joins_files_and_other_groups(lay):
    text = '[[filegroup]]\nname = "a"\nsrcs = ["a.npy"]\n[[filegroup]]\nname = "b"\nsrcs = [":a", "net.onnx"]\n'
    _, targets = lay(text)
    assert targets["b"].provider.files == Tree(
        (("a.npy", SourceFiles((("a.npy", "m/a.npy"),))), ("net.onnx", SourceFiles((("net.onnx", "m/net.onnx"),))))
    )


def test_an_alias_of_a_check_fails_with_it(lay):
    _, targets = lay(CHAIN + AXMODEL + CHECK + '[[alias]]\nname = "gate"\nactual = ":check"\n')
    assert targets["gate"].verdicts == targets["check"].verdicts
    assert targets["gate"].outputs == targets["check"].outputs


NUMPY = CHAIN.replace('tensor_format = "RGB"', 'format = "Numpy"').replace("mean = [127.5]\n", "")
NUMPY = NUMPY.replace("std = [127.5, 127.5, 127.0]\n", "")

MISTAKES = {
    "rtol with equal": (
        CHAIN + AXMODEL + CHECK.replace("close", "equal") + "rtol = 1e-4\n",
        'm/BUILD.toml:26: error AX114: rtol has no effect with level "equal"\n'
        '  26 | rtol = 1e-4\n  hint: rtol belongs to level "close"',
    ),
    "cosine with close": (
        CHAIN + AXMODEL + CHECK + "cosine = 0.9\n",
        'm/BUILD.toml:26: error AX114: cosine has no effect with level "close"\n'
        '  26 | cosine = 0.9\n  hint: cosine belongs to level "cosine"',
    ),
    "mean with Numpy": (
        NUMPY.replace('format = "Numpy"', 'format = "Numpy"\nmean = [1]'),
        'm/BUILD.toml:10: error AX114: mean has no effect with format "Numpy"\n'
        "  10 | mean = [1]\n  hint: arrays are taken as they are: normalise them before they are saved",
    ),
    "tensor_format with Numpy": (
        NUMPY.replace('format = "Numpy"', 'format = "Numpy"\ntensor_format = "BGR"'),
        'm/BUILD.toml:10: error AX114: tensor_format has no effect with format "Numpy"\n'
        '  10 | tensor_format = "BGR"\n  hint: arrays are taken as they are: normalise them before they are saved',
    ),
    "size zero": (
        CHAIN.replace("mean", "size = 0\nmean"),
        "m/BUILD.toml:10: error AX106: size takes a number of samples, or -1 for all, got 0\n  10 | size = 0",
    ),
    "two means for three channels": (
        CHAIN.replace("[127.5]", "[1, 2]"),
        "m/BUILD.toml:10: error AX106: mean takes one number, or 3 for tensor_format RGB, got 2\n  10 | mean = [1, 2]",
    ),
    "three means for one channel": (
        CHAIN.replace("RGB", "GRAY").replace("[127.5]", "[1, 2, 3]"),
        "m/BUILD.toml:10: error AX106: mean takes one number, got 3\n  10 | mean = [1, 2, 3]",
    ),
    "std of zero": (
        CHAIN.replace("127.0", "0"),
        "m/BUILD.toml:11: error AX106: std takes numbers above 0\n  11 | std = [127.5, 127.5, 0]",
    ),
    "another colour order": (
        CHAIN + AXMODEL + 'input_processors = [{ tensor_format = "BGR" }]\n',
        "m/BUILD.toml:21: error AX115: tensor_format is BGR here and RGB in the calibration set\n"
        '  21 | input_processors = [{ tensor_format = "BGR" }]\n  hint: write it in the calibration set only',
    ),
    "a colour conversion": (
        CHAIN + AXMODEL + 'input_processors = [{ src_format = "GRAY" }]\n',
        "m/BUILD.toml:21: error AX119: src_format GRAY with tensor_format RGB: only YUV becomes another format\n"
        '  21 | input_processors = [{ src_format = "GRAY" }]\n  hint: feed RGB, or leave src_format out',
    ),
    "a std of zero at run time": (
        CHAIN + AXMODEL + "input_processors = [{ std = [0] }]\n",
        "m/BUILD.toml:21: error AX106: std takes numbers above 0\n  21 | input_processors = [{ std = [0] }]",
    ),
    "two processors for one input": (
        CHAIN + AXMODEL + "input_processors = [{}, {}]\n",
        "m/BUILD.toml:21: error AX115: two input_processors are for 'DEFAULT'\n  21 | input_processors = [{}, {}]",
    ),
    "a processor of no input": (
        TWO_INPUTS + AXMODEL + 'input_processors = [{ tensor_name = "c" }]\n',
        "m/BUILD.toml:27: error AX115: input_processors names 'c', which has no calibration set\n"
        '  27 | input_processors = [{ tensor_name = "c" }]\n  hint: the calibrated inputs are: a, b',
    ),
    "a default processor that serves nothing": (
        TWO_INPUTS + AXMODEL + 'input_processors = [{ tensor_name = "a" }, { tensor_name = "b" }, {}]\n',
        'm/BUILD.toml:27: error AX114: the input processor "DEFAULT" has no effect: every input has its own\n'
        '  27 | input_processors = [{ tensor_name = "a" }, { tensor_name = "b" }, {}]',
    ),
    "neither quant nor subgraphs": (
        '[[axmodel]]\nname = "x"\n',
        "m/BUILD.toml:1: error AX107: this axmodel names neither 'quant' nor 'subgraphs'\n  1 | [[axmodel]]",
    ),
    "a mode beside subgraphs": (
        CHAIN + BY_HAND + 'npu_mode = "NPU2"\n',
        "m/BUILD.toml:30: error AX114: npu_mode has no effect beside 'subgraphs'\n"
        "  30 | npu_mode = \"NPU2\"\n  hint: the subgraphs' own targets say it",
    ),
    "subgraphs of different modes": (
        CHAIN + BY_HAND.replace("batch = 4", 'batch = 4\nnpu_mode = "NPU2"'),
        'm/BUILD.toml:30: error AX115: npu_mode is "NPU2" in //m:b4 and "NPU1" in //m:b1\n'
        '  30 | subgraphs = [":b4", ":b1"]',
    ),
    "a mode that the chip does not have": (
        CHAIN + AXMODEL + 'target_hardware = "AX620E"\nnpu_mode = "NPU3"\n',
        "m/BUILD.toml:22: error AX402: AX620E has no npu_mode 'NPU3'.\n"
        '  22 | npu_mode = "NPU3"\n  hint: known: NPU1, NPU2',
    ),
    "a chip without public figures": (
        CHAIN + AXMODEL + 'target_hardware = "AX8860"\n',
        "m/BUILD.toml:21: error AX402: The reference NPU cannot stand in for AX8860: no figures about its NPU are "
        'public.\n  21 | target_hardware = "AX8860"',
    ),
    "subgraphs of one batch": (
        CHAIN + BY_HAND.replace("batch = 4\n", ""),
        "m/BUILD.toml:28: error AX115: two of the subgraphs are of batch 1\n  28 | subgraphs = [\":b4\", \":b1\"]",
    ),
    "a batch twice": (
        CHAIN + AXMODEL + "static_batch_sizes = [1, 1]\n",
        "m/BUILD.toml:21: error AX106: static_batch_sizes names a batch twice\n  21 | static_batch_sizes = [1, 1]",
    ),
    "other samples in another form": (
        CHAIN + AXMODEL + '[[calibration_set]]\nname = "others"\nsrc = "a.npy"\n' + CHECK + 'samples = ":others"\n',
        'm/BUILD.toml:29: error AX115: tensor_format is "BGR" in the samples and "RGB" in the calibration set\n'
        '  29 | samples = ":others"',
    ),
    "samples for no input": (
        TWO_INPUTS + AXMODEL + CHECK + 'samples = { c = ":calib" }\n',
        "m/BUILD.toml:32: error AX115: samples names 'c', which has no calibration set\n"
        "  32 | samples = { c = \":calib\" }\n  hint: the calibrated inputs are: a, b",
    ),
    "samples for some inputs": (
        TWO_INPUTS + AXMODEL + CHECK + 'samples = { a = ":calib" }\n',
        "m/BUILD.toml:32: error AX106: samples has no set for the input 'b'\n  32 | samples = { a = \":calib\" }",
    ),
    "a float model of an archive": (
        CHAIN.replace("net.onnx", "samples.tar"),
        "m/BUILD.toml:4: error AX112: m/samples.tar is not a readable ONNX model: it ends too early\n"
        '  4 | src = "samples.tar"',
    ),
    "a float model under another name": (
        CHAIN.replace("net.onnx", "net.pb"),
        "m/BUILD.toml:4: error AX106: src takes one ONNX model: no file ends in .onnx\n  4 | src = \"net.pb\"",
    ),
    "a calibration set of nothing": (
        CHAIN.replace("samples.tar", "*.png"),
        "m/BUILD.toml:8: error AX111: no file matches '*.png'\n  8 | src = \"*.png\"",
    ),
    "a float model where a calibration set belongs": (
        CHAIN.replace('calibration = ":calib"', 'calibration = ":float"'),
        "m/BUILD.toml:16: error AX204: calibration takes Samples, and //m:float (float_model) gives FloatModel\n"
        "  16 | calibration = \":float\"\n  hint: Samples is what calibration_set targets give",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_setting_that_cannot_be_obeyed_is_an_error_with_its_line(lay, text, message):
    with pytest.raises(AxError) as raised:
        lay(text)
    assert str(raised.value) == message
    assert exit_code_of(raised.value.code) == 2
