"""Run-time inputs of other types, layouts and normalisation than the model's, through `pulsar2 build`."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import axbuild
from zoo_workspace import ZOO, Zoo

MEAN, STD = [103.9, 116.8, 123.7], [58.0, 57.0, 57.5]
DIGITS = "fetched/digits/calibration"
ROWS = 50


def model(nodes, inputs, output, **constants):
    value = helper.make_tensor_value_info
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    ports = [value(*one) for one in inputs], [value(*output)]
    graph = helper.make_graph(nodes, "g", *ports, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def tokens():
    """Rows of a table, picked by whole numbers."""
    rng = np.random.default_rng(0)
    table, weight = rng.normal(size=(ROWS, 8)).astype(np.float32), rng.normal(size=(8, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], name="rows"),
        helper.make_node("MatMul", ["rows", "weight"], ["y"], name="product"),
    ]
    ids, y = ("ids", TensorProto.INT64, [1, 6]), ("y", TensorProto.FLOAT, [1, 6, 4])
    return model(nodes, [ids], y, table=table, weight=weight)


def pictured(layout):
    """A convolution of a picture, whose channels come first or last."""
    weight = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    conv = [helper.make_node("Conv", ["planes" if layout == "NHWC" else "x", "w"], ["y"], name="conv")]
    turn = [helper.make_node("Transpose", ["x"], ["planes"], name="turn", perm=[0, 3, 1, 2])]
    shape = [1, 10, 8, 3] if layout == "NHWC" else [1, 3, 10, 8]
    nodes = [*(turn if layout == "NHWC" else []), *conv]
    return model(nodes, [("x", TensorProto.FLOAT, shape)], ("y", TensorProto.FLOAT, [1, 4, 8, 6]), w=weight)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources") / "project"
    root.mkdir()
    onnx.save(tokens(), root / "tokens.onnx")
    rng = np.random.default_rng(2)
    with tarfile.open(root / "ids.tar", "w") as archive:
        for number in range(4):
            file = root / f"{number}.npy"
            np.save(file, rng.integers(0, ROWS, (1, 6)))
            archive.add(file, file.name)
    for layout in ("NCHW", "NHWC"):
        onnx.save(pictured(layout), root / f"{layout}.onnx")
    (root / "pictures").mkdir()
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (10, 8, 3), np.uint8)).save(root / f"pictures/{number}.png")
    return Zoo(root, root.parent / "cache")


def build(project, name, source, data, **processor):
    """`pulsar2 build` of one model with one processor and a check bit for bit."""
    config = {
        "input": source,
        "quant": {"input_configs": [{"tensor_name": "DEFAULT", **data}]},
        "input_processors": [{"tensor_name": "DEFAULT", **processor}],
        "compiler": {"check": 2},
    }
    (project.root / f"{name}.json").write_text(json.dumps(config))
    return project.run("pulsar2", "build", "--config", f"{name}.json", "--output_dir", name)


def session(project, name):
    return axbuild.InferenceSession(project.root / name / "compiled.axmodel")


IDS = {"calibration_dataset": "ids.tar", "calibration_format": "Numpy"}
NORMAL = {"calibration_dataset": "pictures", "calibration_mean": MEAN, "calibration_std": STD}


@pytest.fixture(scope="module")
def plain_tokens(project):
    """Answers of the model that takes ids as the float model does, for every row of its table."""
    done = build(project, "plain", "tokens.onnx", IDS)
    assert done.code == 0, done.err
    ids = np.arange(ROWS - 2).reshape(-1, 6)
    return ids, session(project, "plain").run(None, {"ids": ids})[0]


@pytest.mark.parametrize(
    ("src_dtype", "dtype"), [("S32", "int32"), ("U8", "uint8"), ("S16", "int16"), ("U32", "uint32")]
)
def test_whole_numbers_come_in_as_another_type_and_pick_the_same_rows(project, plain_tokens, src_dtype, dtype):
    """As the vendor's example of a text model does it: int64 in the data and the model, S32 at run time."""
    done = build(project, src_dtype, "tokens.onnx", IDS, src_dtype=src_dtype)
    assert done.code == 0, done.out + done.err
    assert "SUCCESS | check [y]" in done.out
    assert f"tensor: ids, (1, 6), {src_dtype}" in done.out
    assert "op: op:pre_cast_1, AxCast, {'to': 'INT64'}" in done.out
    ids, answers = plain_tokens
    assert session(project, src_dtype).get_inputs()[0].type == f"tensor({dtype})"
    assert np.array_equal(session(project, src_dtype).run(None, {"ids": ids.astype(dtype)})[0], answers)


def test_a_number_beyond_the_table_or_beyond_the_npu_is_an_error_and_never_another_row(project, plain_tokens):
    assert build(project, "U32", "tokens.onnx", IDS, src_dtype="U32").code == 0
    for value, message in ((2**31, "'ids' holds 2147483648, beyond what the NPU holds of uint32"), (ROWS, f"{ROWS}")):
        np.save(project.root / "odd.npy", np.full((1, 6), value, np.uint32))
        done = project.run("run", "U32/compiled.axmodel", "--input", "odd.npy")
        assert done.code == 2
        assert message in done.err


def test_files_of_the_run_time_type_are_what_run_and_pulsar2_run_take(project, plain_tokens):
    assert build(project, "S32", "tokens.onnx", IDS, src_dtype="S32").code == 0
    ids, answers = plain_tokens
    np.save(project.root / "x.npy", ids[:1].astype(np.int32))
    done = project.run("run", "S32/compiled.axmodel", "--input", "x.npy", "--output_dir", "ran")
    assert done.code == 0, done.err
    assert np.array_equal(np.load(project.root / "ran/x/y.npy"), answers[:1])
    np.save(project.root / "wide.npy", ids[:1])
    refused = project.run("run", "S32/compiled.axmodel", "--input", "wide.npy")
    assert (refused.code, "is int64 [1, 6], and model input 'ids' is int32" in refused.err) == (2, True)
    (project.root / "raw").mkdir()
    (project.root / "raw/ids.bin").write_bytes(ids[:1].astype(np.int32).tobytes())
    folders = ("--input_dir", "raw", "--output_dir", "raw_out")
    done = project.run("pulsar2", "run", "--model", "S32/compiled.axmodel", *folders)
    assert done.code == 0, done.err
    assert np.array_equal(np.fromfile(project.root / "raw_out/y.bin", np.float32), answers[:1].reshape(-1))


def test_a_check_on_given_files_reads_the_run_time_type(project):
    (project.root / "given").mkdir()
    (project.root / "given/ids.bin").write_bytes(np.arange(12, dtype=np.int16).tobytes())
    config = {
        "input": "tokens.onnx",
        "quant": {"input_configs": [{"tensor_name": "DEFAULT", **IDS}]},
        "input_processors": [{"tensor_name": "ids", "src_dtype": "S16"}],
        "compiler": {"check": 2, "input_sample_dir": "given"},
    }
    (project.root / "given.json").write_text(json.dumps(config))
    done = project.run("pulsar2", "build", "--config", "given.json", "--output_dir", "checked")
    assert done.code == 0, done.out + done.err
    assert "on 2 samples: equal bit for bit" in done.out
    (project.root / "given/ids.bin").write_bytes(bytes(13))
    refused = project.run("pulsar2", "build", "--config", "given.json", "--output_dir", "refused")
    assert "'ids.bin' has 13 bytes, and a sample of input 'ids' has 12 (S16 [1, 6])" in refused.out + refused.err


def test_whole_numbers_do_not_come_in_as_halves(project):
    done = build(project, "halves", "tokens.onnx", IDS, src_dtype="FP16")
    assert done.code == 2
    assert "Input 'ids' is INT64: a run-time input of FP16 has not every whole number." in done.out + done.err
    assert not (project.root / "halves").exists()


@pytest.fixture(scope="module")
def first(project):
    """The model whose channels come first, fed as it takes them in bytes."""
    done = build(project, "first", "NCHW.onnx", NORMAL, src_dtype="U8", tensor_format="BGR")
    assert done.code == 0, done.err
    pixels = np.asarray(Image.open(project.root / "pictures/0.png"))[:, :, ::-1]
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
    return planes, session(project, "first").run(None, {"x": planes})[0]


@pytest.mark.parametrize("src_layout", ["NCHW", "NHWC"])
def test_a_model_with_its_channels_last_is_calibrated_and_answers_as_its_twin(project, first, src_layout):
    processor = {"src_dtype": "U8", "tensor_format": "BGR", "tensor_layout": "NHWC", "src_layout": src_layout}
    done = build(project, src_layout, "NHWC.onnx", NORMAL, **processor)
    assert done.code == 0, done.out + done.err
    assert "SUCCESS | check [y]" in done.out
    assert ("op:pre_transpose_1, AxTranspose, {'perm': [0, 2, 3, 1]}" in done.out) == (src_layout == "NCHW")
    planes, answers = first
    source = planes if src_layout == "NCHW" else np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    assert np.array_equal(session(project, src_layout).run(None, {"x": source})[0], answers)
    ran = project.run(
        "run", f"{src_layout}/compiled.axmodel", "--input", "pictures/0.png", "--output_dir", f"run_{src_layout}"
    )
    assert ran.code == 0, ran.err
    assert np.array_equal(np.load(project.root / f"run_{src_layout}/0/y.npy"), answers)


def test_who_normalises_by_himself_is_told_and_gets_the_same_answers(project, first):
    ones = {"mean": [0, 0, 0], "std": [1, 1, 1]}
    done = build(project, "own", "NCHW.onnx", NORMAL, tensor_format="BGR", **ones)
    assert done.code == 0, done.out + done.err
    said = "AX593: Input 'x' takes x as it comes at run time, and calibration took (x - [103.9, 116.8, 123.7]) / [58.0"
    assert said in done.out
    front = done.out.partition("preprocess tensor [x]")[2].partition("postprocess tensor")[0]
    assert "op: " not in front
    planes, answers = first
    sides = (np.float32(side).reshape(1, 3, 1, 1) for side in (MEAN, STD))
    mean, std = sides
    normal = (planes.astype(np.float32) - mean) / std
    assert np.array_equal(session(project, "own").run(None, {"x": normal})[0], answers)
    refused = project.run("run", "own/compiled.axmodel", "--input", "pictures/0.png")
    assert refused.code == 2
    assert "input 'x' takes FP32 [1, 3, 10, 8], not the levels of a picture" in refused.err


def test_codes_of_another_model_come_in_by_their_scale(project, first):
    codes = {"scale": 0.02, "zeropoint": 110}
    done = build(project, "codes", "NCHW.onnx", NORMAL, src_dtype="U8", tensor_format="BGR", **codes)
    assert done.code == 0, done.out + done.err
    assert "{'scale': 0.0199999" in done.out
    assert "AxNormalize" not in done.out
    planes, answers = first
    normal = (planes - np.float32(MEAN).reshape(1, 3, 1, 1)) / np.float32(STD).reshape(1, 3, 1, 1)
    source = np.rint(normal / 0.02 + 110).clip(0, 255).astype(np.uint8)
    found = session(project, "codes").run(None, {"x": source})[0]
    assert np.abs(found - answers).max() < 0.02 * np.abs(answers).max()


def test_digits_in_levels_less_128_are_read_as_those_in_bytes(tmp_path):
    """A real net: S8 pixels with a mean of its own do not move a bit of its logits."""
    root = tmp_path / "digits"
    root.mkdir()
    digits = Zoo(root, tmp_path / "cache")
    (root / "digits.onnx").write_bytes((ZOO / "digits/digits.onnx").read_bytes())
    (root / "pictures").symlink_to(ZOO / DIGITS)
    data = {"calibration_dataset": "pictures", "calibration_mean": [127.5], "calibration_std": [127.5]}
    levels = {"tensor_format": "GRAY", "src_layout": "NHWC"}
    assert build(digits, "bytes", "digits.onnx", data, src_dtype="U8", **levels).code == 0
    done = build(digits, "less", "digits.onnx", data, src_dtype="S8", mean=[-0.5], std=[127.5], **levels)
    assert done.code == 0, done.out + done.err
    assert (
        "AX593: Input 'image' takes (x + 0.5) / 127.5 at run time, and calibration took (x - 127.5) / 127.5" in done.out
    )
    files = sorted((ZOO / DIGITS).glob("*.png"))[:8]
    pixels = np.stack([np.asarray(Image.open(file).convert("L"))[..., np.newaxis] for file in files])
    less = (pixels.astype(np.int16) - 128).astype(np.int8)
    answers = [session(digits, name).run(None, {"image": x})[0] for name, x in (("bytes", pixels), ("less", less))]
    assert np.array_equal(*answers)
    assert len({int(one.argmax()) for one in answers[0]}) > 1
