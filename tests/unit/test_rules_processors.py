"""The rules' processors: of the float model's operators and constants, of inputs and of outputs."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.workspace.artifact import Output, SourceFiles
from rules_world import AXMODEL, CHAIN, CHECK, layer

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
