"""The rules' processors: of the float model's operators and constants, of inputs and of outputs."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.workspace.artifact import Output, SourceFiles
from rules_world import CHAIN, layer

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
