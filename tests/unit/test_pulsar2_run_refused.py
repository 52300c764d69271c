"""`pulsar2 run` with what cannot be: the command ends with 2, says so in a sentence, and has written nothing."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from axbuild.codes import CODES, USER_ERROR
from axbuild.errors import AxError
from axmodel_world import SHAPE
from frontend_world import model, node
from raw_world import models, reals, run, tree, write

BYTES = np.arange(12 * 4, dtype=np.uint8).reshape(4, *SHAPE[1:])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def here(tmp_path, monkeypatch, made):
    """Models of every sort with inputs that fit, and what is wrong beside them."""
    monkeypatch.chdir(tmp_path)
    for source, name in ((made.pictures, "pictures.axmodel"), (made.groups, "net.axmodel")):
        shutil.copy(source, name)
    for folder in ("frontend", "quant"):
        shutil.copytree(made.quantised.parents[1] / folder, f"built/{folder}")
    older = onnx.load(made.quantised)
    del older.metadata_props[:]
    onnx.save(older, "older.onnx")
    write("in/image.bin", BYTES)
    write("in/in_put.bin", reals())
    write("short/image.bin", BYTES[:3])
    write("long/in_put.bin", reals(count=2))
    write("lying/image.bin/file", BYTES)
    write("empty/image.bin", BYTES[:0])
    write("open/x.bin", np.zeros(7, np.float32))
    Path("text.txt").write_text("no model")
    Path("cut.axmodel").write_bytes(made.pictures.read_bytes()[:-100])
    Path("pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    Path("none.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    Path("damaged.axmodel").write_bytes(made.pictures.read_bytes().replace(b"axref/1", b"axref/9"))
    for name, proto in ONNX.items():
        onnx.save(proto, f"{name}.onnx")
    for name, lines in LISTS.items():
        Path(f"{name}.txt").write_bytes(lines)
    write("in/link/image.bin", BYTES)
    Path("elsewhere").mkdir()
    Path("linked_out").mkdir()
    Path("linked_out/link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


SEQUENCE = helper.make_model(
    helper.make_graph(
        [node("SequenceConstruct", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [1])],
    ),
    opset_imports=[helper.make_opsetid("", 18)],
    ir_version=10,
)
ONNX = {
    "twins": model([node("Add", ["a/b", "a:b"], ["y"])], inputs=(("a/b", [1]), ("a:b", [1]))),
    "twin_outputs": model(
        [node("Relu", ["x"], ["y/1"]), node("Neg", ["x"], ["y:1"])], inputs=(("x", [1]),), outputs=("y/1", "y:1")
    ),
    "open": model([node("Relu", ["x"], ["y"])], inputs=(("x", ["n", 2]),)),
    "very_open": model([node("Relu", ["x"], ["y"])], inputs=(("x", ["n", "m"]),)),
    "text_input": model([node("Identity", ["x"], ["y"])], inputs=(("x", [1]),), kind=TensorProto.STRING),
    "unknown": model([node("Relux", ["x"], ["y"])], inputs=(("x", [1]),)),
    "same": model([node("Relu", ["in/put"], ["in_put"])], inputs=(("in/put", [1, 3, 12, 12]),), outputs=("in_put",)),
    "sequence": SEQUENCE,
}
LISTS = {
    "absolute": b"/etc\n",
    "drive": b"C:\\data\n",
    "up": b"a/../../in\n",
    "up_windows": b"a\\..\\b\n",
    "twice": b"0\n\n./0\n",
    "blank": b"\r\n \n",
    "not_text": b"\xff\xfe0\n",
    "control": b"a\x07b\n",
    "gone": b"nothing_there\n",
    "linked": b"link\n",
}


PICTURES, QUANT = "pictures.axmodel", "built/quant/quant_axmodel.onnx"
WRONG = [
    ({"model": ""}, "AX570", "--model is missing"),
    ({"input_dir": None}, "AX570", "--input_dir is missing"),
    ({"output_dir": ""}, "AX570", "--output_dir is missing"),
    ({"list": "a\0b"}, "AX570", "list holds a zero byte, and no path does"),
    ({"input_dir": "a\0b"}, "AX570", "input_dir holds a zero byte, and no path does"),
    ({"model": "gone.axmodel"}, "AX570", "the model gone.axmodel cannot be read: No such file or directory"),
    ({"model": "in"}, "AX570", "the model in cannot be read: Is a directory"),
    ({"model": "text.txt"}, "AX573", "text.txt is no model, or it is cut off: its 8 bytes do not parse as ONNX"),
    ({"model": "none.onnx"}, "AX573", "none.onnx is no model"),
    ({"model": "pointer.onnx"}, "AX573", "pointer.onnx is a Git LFS pointer, not the file itself"),
    ({"model": "cut.axmodel"}, "AX573", "cut.axmodel is no model, or it is cut off"),
    ({"model": "damaged.axmodel"}, "AX481", "is for the backend axref/9; this axbuild runs axref/1"),
    ({"model": "unknown.onnx"}, "AX573", "onnxruntime does not run unknown.onnx"),
    ({"model": "sequence.onnx"}, "AX573", "output 'y' of sequence.onnx is a sequence, and no tensor"),
    ({"model": "text_input.onnx"}, "AX573", "input 'x' of text_input.onnx is no tensor of numbers"),
    ({"model": "very_open.onnx"}, "AX573", "input 'x' of very_open.onnx leaves several sizes open: [n, m]"),
    ({"model": "twins.onnx"}, "AX571", "'a/b' and 'a:b' would both be the file a_b.bin"),
    ({"model": "twin_outputs.onnx"}, "AX571", "'y/1' and 'y:1' would both be the file y_1.bin"),
    ({"input_dir": "gone"}, "AX571", "there is no file gone/image.bin for the input 'image', uint8 [1, 3, 2, 2]"),
    ({"input_dir": "text.txt"}, "AX571", "there is no file text.txt/image.bin for the input 'image'"),
    ({"input_dir": "lying"}, "AX571", "lying/image.bin, the file of input 'image', is no file"),
    ({"input_dir": "empty"}, "AX571", "empty/image.bin has 0 bytes, and input 'image' takes 48: uint8 [4, 3, 2, 2]"),
    ({"input_dir": "short"}, "AX571", "short/image.bin has 36 bytes, and input 'image' takes 48"),
    ({"batch_size": 3}, "AX571", "in/image.bin has 48 bytes, and input 'image' takes 36: uint8 [3, 3, 2, 2]"),
    (
        {"model": QUANT, "input_dir": "long"},
        "AX571",
        "has 3,456 bytes, and input 'in:put' takes 1,728: float32 [1, 3, ",
    ),
    (
        {"model": "open.onnx", "input_dir": "open"},
        "AX571",
        "28 bytes, and input 'x' takes a multiple of 8: float32 [?, 2]",
    ),
    (
        {"model": QUANT, "batch_size": 2},
        "AX570",
        "batch_size is 2, and a quantised model runs what its inputs say, once",
    ),
    ({"model": "open.onnx", "group_index": 1}, "AX570", "group_index is 1, and an ONNX model has no shape groups"),
    ({"model": "open.onnx", "mode": "NPUBackend"}, "AX570", "mode is NPUBackend, and an ONNX model has no codes"),
    ({"group_index": 1}, "AX482", "the model has no shape group 1; it has 0"),
    ({"model": "net.axmodel", "group_index": 1}, "AX571", "there is no file in/in_put_1.bin for the input 'in:put_1'"),
    ({"target_hardware": "AX620E"}, "AX570", "target_hardware is AX620E, and the model was compiled for AX650"),
    (
        {"model": "older.onnx", "mode": "NPUBackend"},
        "AX574",
        "NPUBackend cannot place the operators of older.onnx: it does not hold the outline of its float model",
    ),
    (
        {"model": QUANT, "mode": "NPUBackend", "target_hardware": "AX620E"},
        "AX574",
        "1 node would run on the CPU of AX620E: 'likelihood' (LogSoftmax)",
    ),
    ({"model": QUANT, "mode": "NPUBackend", "target_hardware": "AX8860"}, "AX402", "cannot stand in for AX8860"),
    ({"output_dir": "in/image.bin"}, "AX572", "in/image.bin cannot be written: "),
    ({"output_dir": "text.txt/out"}, "AX572", "text.txt/out cannot be written: Not a directory"),
    ({"model": "same.onnx", "output_dir": "./in"}, "AX572", "output 'in_put' would overwrite the input in/in_put.bin"),
    ({"random_input": True}, "AX572", "--random_input would overwrite in/image.bin, which holds something else"),
    ({"random_input": True, "input_dir": "lying"}, "AX572", "--random_input would overwrite lying/image.bin"),
    ({"list": "gone_list.txt"}, "AX575", "the list gone_list.txt cannot be read: No such file or directory"),
    ({"list": "in"}, "AX575", "the list in cannot be read: Is a directory"),
    ({"list": "blank.txt"}, "AX575", "the list blank.txt names no run"),
    ({"list": "not_text.txt"}, "AX575", "the list not_text.txt is no text in UTF-8"),
    ({"list": "absolute.txt"}, "AX575", "and '/etc' is absolute"),
    ({"list": "drive.txt"}, "AX575", "and 'C:\\data' is absolute"),
    ({"list": "up.txt"}, "AX575", "a line of a list is a folder below --input_dir, and 'a/../../in' is none"),
    ({"list": "up_windows.txt"}, "AX575", "and 'a\\..\\b' is none"),
    ({"list": "control.txt"}, "AX575", "and 'a\x07b' is none"),
    ({"list": "twice.txt"}, "AX575", "the list names './0' a second time, after line 1"),
    ({"list": "gone.txt"}, "AX571", "there is no file in/nothing_there/image.bin"),
    ({"list": "linked.txt", "output_dir": "linked_out"}, "AX575", "'link' is a link that leads out of linked_out"),
]


@pytest.mark.parametrize(("settings", "code", "said"), WRONG)
def test_it_is_said_in_a_sentence_and_nothing_is_written(here, capsys, settings, code, said):
    before = tree()
    with pytest.raises(AxError) as raised:
        run(**({"model": PICTURES} | settings))
    assert raised.value.code == code
    assert said in raised.value.sentence
    assert CODES[code][0] == USER_ERROR
    assert tree() == before
    assert capsys.readouterr().out == "" or code == "AX572"


def test_a_line_of_a_list_that_is_wrong_is_shown_with_its_number(here):
    with pytest.raises(AxError) as raised:
        run(PICTURES, list="twice.txt")
    assert str(raised.value).startswith("twice.txt:3: error AX575: ")


def test_the_hint_says_how_many_samples_a_file_holds(here):
    with pytest.raises(AxError) as raised:
        run(PICTURES, input_dir="short")
    assert raised.value.hint == "--batch_size says how many samples the files hold, and this has the bytes of 3"


def test_outputs_that_cannot_all_be_written_are_not_written_at_all(here):
    """One of two files has a folder in its place."""
    Path("out/m_relu.bin").mkdir(parents=True)
    with pytest.raises(AxError, match=r"out/m_relu\.bin is a folder, and a file of that name is to be written"):
        run(QUANT)
    assert tree("out") == {}
    assert [path.name for path in Path("out").iterdir()] == ["m_relu.bin"]


def test_a_run_that_fails_leaves_earlier_ones_whole_and_none_of_its_own(here, monkeypatch):
    Path("list.txt").write_text("0\n1\n")
    for label in "01":
        write(f"in/{label}/image.bin", BYTES)
    Path("out").mkdir()
    Path("out/1").write_text("in the way")
    with pytest.raises(AxError, match="out/1 cannot be written"):
        run(PICTURES, list="list.txt")
    assert sorted(tree("out")) == ["0/out_put.bin", "1"]
