"""The rules' processors: of the float model's operators and constants, of inputs and of outputs."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.workspace.artifact import Output, SourceFiles
from rules_world import AXMODEL, CHAIN, CHECK, TWO_INPUTS, layer

PATCHED = CHAIN.replace('src = "net.onnx"\n', 'src = "net.onnx"\n{}\n', 1)


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


def mistake(lay, text):
    with pytest.raises(AxError) as raised:
        lay(text)
    return raised.value.code, raised.value.sentence


def test_patches_are_an_action_before_everything_else_and_name_their_files(lay):
    actions, _ = lay(
        PATCHED.format(
            'op_processors = [{ op_name = "pool6", attrs = { ceil_mode = 1, mode = "max" } }]\n'
            'const_processors = [{ name = "a", data_path = "a.npy" }, { name = "b", data = [1, 2] }]'
        )
    )
    patch = actions["float", "patch"]
    assert patch.params == {
        "op_processors": [{"op_name": "pool6", "attrs": {"ceil_mode": 1, "mode": "max"}}],
        "const_processors": [{"name": "a", "data": None, "form": "npy"}, {"name": "b", "data": [1, 2], "form": ""}],
    }
    assert patch.inputs["values"] == (SourceFiles((("a.npy", "m/a.npy"),)),)
    assert actions["float", "optimize"].inputs == {"model": Output(("//m:float", "patch"), "patched/")}


@pytest.mark.parametrize(
    ("patches", "code", "sentence"),
    [
        ('const_processors = [{ name = "a", data = [1], data_path = "a.npy" }]', "AX115",
         "const_processors has both data and data_path for 'a'"),
        ('const_processors = [{ name = "a" }]', "AX115", "const_processors has neither data nor data_path for 'a'"),
        ('const_processors = [{ name = "a", data = 1 }, { name = "a", data = 2 }]', "AX115",
         "two entries of const_processors are for 'a'"),
        ('const_processors = [{ name = "a", data_path = "samples.tar" }]', "AX106",
         "data_path of 'a' takes a .npy, .bin or .txt file"),
        ('op_processors = [{ op_name = "a", attrs = { k = 1 } }, { op_name = "a", attrs = { l = 1 } }]', "AX115",
         "two entries of op_processors are for 'a'"),
    ],
)  # fmt: skip
def test_patches_that_contradict_each_other_are_refused(lay, patches, code, sentence):
    assert mistake(lay, PATCHED.format(patches)) == (code, sentence)


def test_yuv_is_nhwc_whatever_is_said_and_its_conversion_is_a_parameter_of_planning_alone(lay):
    yuv = '{ src_format = "YUV420SP", src_dtype = "U8", csc_mode = "FullRange", slicing = [0, 0, 0, 0, 0, 1, 0, 1] }'
    bare, _ = lay(CHAIN + AXMODEL)
    actions, _ = lay(CHAIN + AXMODEL + f"input_processors = [{yuv}]\n")
    (processor,) = actions["axmodel", "partition"].params["input_processors"]
    assert (processor["src_layout"], processor["csc_mode"], processor["slicing"]) == (
        "NHWC",
        "FullRange",
        [0, 0, 0, 0, 0, 1, 0, 1],
    )
    changed = {name for name, action in actions.items() if action.params != bare[name].params}
    assert changed == {("axmodel", "preflight"), ("axmodel", "partition")}


def test_output_processors_are_a_parameter_of_planning_alone_and_a_check_follows_the_partition(lay):
    bare, _ = lay(CHAIN + AXMODEL + CHECK)
    actions, _ = lay(CHAIN + AXMODEL + "output_processors = [{ dst_perm = [0, 2, 3, 1] }]\n" + CHECK)
    wanted = [{"tensor_name": "DEFAULT", "dst_perm": [0, 2, 3, 1], "output_dtype": "FP32"}]
    assert actions["axmodel", "partition"].params["output_processors"] == wanted
    changed = {name for name, action in actions.items() if action.params != bare[name].params}
    assert changed == {("axmodel", "preflight"), ("axmodel", "partition"), ("check", "answers")}
    assert actions["check", "answers"].params["processed"] is True


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ('input_processors = [{ src_format = "YUYV422", src_dtype = "U8" }]', "AX115",
         "src_format YUYV422 needs a csc_mode"),
        ('input_processors = [{ csc_mode = "FullRange" }]', "AX114",
         "csc_mode FullRange has no effect with src_format AutoColorSpace, which is not converted"),
        ('input_processors = [{ src_format = "YUYV422", csc_mode = "FullRange", csc_mat = [1] }]', "AX115",
         "csc_mat belongs to csc_mode Matrix, and Matrix needs it"),
        ('input_processors = [{ padding_constant_value = 3 }]', "AX114",
         "padding_constant_value has no effect without padding"),
        ('output_processors = [{}, {}]', "AX115", "two output_processors are for 'DEFAULT'"),
    ],
)  # fmt: skip
def test_processors_that_contradict_themselves_are_refused(lay, line, code, sentence):
    assert mistake(lay, CHAIN + AXMODEL + line + "\n") == (code, sentence)


OWN = [127.5, 127.5, 127.5]
STD = [127.5, 127.5, 127.0]


@pytest.mark.parametrize(
    ("processor", "settled", "unlike"),
    [
        ("mean = [0], std = [1]", {"mean": [0.0], "std": [1.0], "pictures": False}, True),
        ("mean = [0]", {"mean": [0.0], "std": STD, "pictures": False}, True),
        ("mean = [127.5]", {"mean": OWN, "std": STD}, False),
        ('src_dtype = "S8", scale = 0.5, zeropoint = 3',
         {"mean": [], "std": [], "pictures": False, "scale": 0.5, "zeropoint": 3, "src_dtype": "S8"}, False),
        ('src_dtype = "S32"', {"mean": OWN, "std": STD, "src_dtype": "S32"}, False),
    ],
)  # fmt: skip
def test_what_is_normalised_at_run_time_is_what_is_said_and_calibrations_where_nothing_is(
    lay, processor, settled, unlike
):
    bare, _ = lay(CHAIN + AXMODEL)
    actions, _ = lay(CHAIN + AXMODEL + f"input_processors = [{{ {processor} }}]\n")
    (before,), (now,) = (made["axmodel", "partition"].params["input_processors"] for made in (bare, actions))
    assert now == before | settled
    told = [{"tensor_name": "DEFAULT", "mean": OWN, "std": STD, "format": "Image"}] if unlike else None
    assert actions["axmodel", "preflight"].params.get("unlike") == told
    assert "unlike" not in bare["axmodel", "preflight"].params


def test_arrays_may_be_what_the_compiled_model_makes_of_other_values(lay):
    processor = '{ tensor_name = "b", src_dtype = "U8", mean = [1], std = [2] }'
    actions, _ = lay(TWO_INPUTS + AXMODEL + f"input_processors = [{processor}]\n" + CHECK)
    told = [{"tensor_name": "b", "mean": [], "std": [], "format": "Numpy"}]
    assert actions["axmodel", "preflight"].params["unlike"] == told
    entry = actions["axmodel", "partition"].params["input_processors"][1]
    assert (entry["mean"], entry["std"], "pictures" in entry) == ([1.0], [2.0], False)


def test_pictures_of_a_model_with_its_channels_last_are_so_in_calibration_and_at_run_time(lay):
    """Nothing moves in front of it where nobody says what comes in."""
    bare, _ = lay(CHAIN + AXMODEL + CHECK)
    last = CHAIN.replace('tensor_format = "RGB"\n', 'tensor_format = "RGB"\ntensor_layout = "NHWC"\n')
    actions, _ = lay(last + AXMODEL + CHECK)
    (entry,) = actions["axmodel", "partition"].params["input_processors"]
    assert (entry["src_layout"], entry["tensor_layout"]) == ("NHWC", "NHWC")
    for stage, params in (("decode", lambda p: p), ("spread", lambda p: p["inputs"][0])):
        assert params(actions["quant", stage].params)["tensor_layout"] == "NHWC"
        assert "tensor_layout" not in params(bare["quant", stage].params)
    actions, _ = lay(last + AXMODEL + 'input_processors = [{ src_dtype = "U8" }]\n')
    (entry,) = actions["axmodel", "partition"].params["input_processors"]
    assert (entry["src_layout"], entry["tensor_layout"]) == ("NCHW", "NHWC")


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ('{ tensor_layout = "NHWC" }', "AX115", "tensor_layout is NHWC here and NCHW in the calibration set"),
        ("{ zeropoint = 3 }", "AX114", "zeropoint has no effect without scale"),
        ("{ std = [1, -1, 1] }", "AX106", "std takes numbers above 0"),
        ('{ src_dtype = "S64" }', "AX106",
         'input_processors[0].src_dtype takes "FP32", "U8", "S8", "U16", "S16", "U32", "S32" or "FP16", got "S64"'),
        ("{ scale = -1 }", "AX106", "input_processors[0].scale takes a number of at least 0, got -1"),
    ],
)  # fmt: skip
def test_what_a_processor_cannot_be_is_refused(lay, line, code, sentence):
    assert mistake(lay, CHAIN + AXMODEL + f"input_processors = [{line}]\n") == (code, sentence)
