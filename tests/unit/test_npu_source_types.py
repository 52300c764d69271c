"""Run-time inputs of every type and layout before a float model: by definition, by the bodies, by the simulator."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from npu_world import Chain, preset_of, support_of
from onnx import helper

from axbuild.toolchain.axmodel.reference import open_session, run
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError
from axbuild.toolchain.data.processors import DTYPES, InputProcessor, seen_input, source_input
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import S16, U8, Grid
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.preprocess import ProcessorError
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.simulator.machine import simulate

GRIDS = {"fine": Grid(2.0**-6, 0, S16), "bytes": Grid(2.0, 100, U8)}
MEAN, STD = (103.939, 116.779, 123.68), (58.0, 57.5, 57.0)
NCHW, NHWC = (1, 3, 4, 6), (1, 4, 6, 3)
PLAIN = InputProcessor("x", "BGR", "BGR", "FP32", "NCHW", (), ())
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def cut(folder, processor, grid, shape):
    """The partition of a model that quantises its input and gives it back."""
    chain = Chain()
    x = chain.input("x", shape, "float32")
    model = chain.model(chain.add(Dequantize(grid), chain.add(Quantize(grid), x), name="y"))
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    relu = helper.make_node("Relu", ["x"], ["y"], name="relu")
    onnx.save(helper.make_model(helper.make_graph([relu], "g", info[:1], info[1:])), folder / "optimized.onnx")
    onnx.save(model, folder / "q.onnx")
    partition(folder / "q.onnx", folder / "optimized.onnx", folder, params=PartitionParams(support_of(), (processor,)))
    return Partition.read(folder / "partition").inputs[0]


def answers(folder, source):
    """What the simulated NPU makes of a run-time input, after the bodies under onnxruntime gave the same bits."""
    file = folder / "partition/subgraph_npu_0.onnx"
    for optimized in (False, True):
        (bodies,) = run(open_session(file.read_bytes(), optimized=optimized), {"input_0": source}).values()
    out = folder / "compiled"
    out.mkdir()
    compile_subgraph(file, out, params=CompileParams(preset_of(), 1))
    program = decode((out / "program.msgpack").read_bytes())
    held = source.astype(np.int32) if source.dtype == np.uint32 else source
    found = simulate(program, (out / "params.bin").read_bytes(), {"input_0": held})["output_0"]
    assert np.array_equal(found, bodies)
    return found


def through(reals, grid):
    """What a quantisation and its way back make of reals, by ONNX's definition."""
    steps = np.rint(reals / np.float32(grid.scale)) + grid.zero
    codes = np.clip(steps, grid.type.lo, grid.type.hi).astype(np.float32)
    return (codes - np.float32(grid.zero)) * np.float32(grid.scale)


def values(dtype, shape):
    """Values of a run-time type: its ends, and what lies around the levels of a picture."""
    rng, kind = np.random.default_rng(3), np.dtype(dtype)
    if kind.kind == "f":
        drawn = rng.normal(100, 90, shape).astype(kind)
        drawn.flat[:3] = (np.finfo(kind).max, -0.0, 0.5)
        return drawn
    low, high = max(np.iinfo(kind).min, -(2**31)), min(np.iinfo(kind).max, 2**31 - 1)
    drawn = rng.integers(max(low, -400), min(high, 400) + 1, shape).astype(kind)
    drawn.flat[:4] = (low, high, min(2**24 + 1, high), 1)
    return drawn


def normal(source, mean=MEAN, std=STD, axis=1):
    shape = [-1 if place == axis else 1 for place in range(4)]
    mean, std = (np.asarray(side, np.float32).reshape(shape) for side in (mean, std))
    return (source.astype(np.float32) - mean) / std


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("src_dtype", DTYPES)
def test_a_type_becomes_the_nearest_float32_and_is_normalised(tmp_path, src_dtype, normalised, grid):
    mean, std = (MEAN, STD) if normalised else ((), ())
    processor = replace(PLAIN, src_dtype=src_dtype, src_layout="NHWC", mean=mean, std=std)
    tensor = cut(tmp_path, processor, GRIDS[grid], NCHW)
    assert (tensor.dtype, tensor.shape, tensor.layout) == (DTYPES[src_dtype], NHWC, "NHWC")
    source = values(tensor.dtype, NHWC)
    planes = source.transpose(TO_FIRST)
    wanted = normal(planes) if normalised else planes.astype(np.float32)
    assert np.array_equal(answers(tmp_path, source), through(wanted, GRIDS[grid]))


@pytest.mark.parametrize("src_dtype", ["U8", "S16", "FP16"])
@pytest.mark.parametrize(("src_layout", "steps"), [("NCHW", ["transpose"]), ("NHWC", [])])
def test_a_model_with_its_channels_last_takes_both_layouts(tmp_path, src_dtype, src_layout, steps):
    """Slices and padding are on its own axes."""
    frame = {"slicing": (0, 0, 0, 1, 0, 0, 0, 0), "padding": (0, 0, 0, 0, 2, 0, 0, 0), "padding_constant_value": 9}
    processor = replace(PLAIN, tensor_layout="NHWC", src_layout=src_layout, src_dtype=src_dtype, mean=MEAN, std=STD)
    tensor = cut(tmp_path, replace(processor, **frame), GRIDS["fine"], NHWC)
    assert (tensor.shape, tensor.layout) == ({"NHWC": (1, 5, 4, 3), "NCHW": (1, 3, 5, 4)}[src_layout], src_layout)
    source = values(tensor.dtype, tensor.shape)
    own = source if src_layout == "NHWC" else source.transpose(TO_LAST)
    framed = np.pad(own[:, :4], ((0, 0), (0, 0), (2, 0), (0, 0)), constant_values=9)
    assert np.array_equal(answers(tmp_path, source), through(normal(framed, axis=3), GRIDS["fine"]))
    told = json.loads((tmp_path / "processing.json").read_text())["inputs"][0]["operators"]
    moves = [one["step"] for one in told if one["step"] not in ("cast", "dequantise", "normalise")]
    assert moves == [*steps, "slice", "pad"]


def test_yuv_in_front_of_a_model_with_its_channels_last(tmp_path):
    yuv = replace(PLAIN, src_format="YUV420SP", src_dtype="U8", csc_mode="FullRange", tensor_layout="NHWC")
    tensor = cut(tmp_path, yuv, GRIDS["fine"], NHWC)
    assert tensor.shape == (1, 6, 6, 1)
    picture = np.random.default_rng(0).integers(0, 256, NHWC[1:], np.uint8)
    data = InputData("x", "Image", tensor_layout="NHWC")
    source = source_input(picture, data, "uint8", "NHWC", yuv)
    seen = seen_input(picture, data, yuv)
    assert seen.shape == NHWC
    assert np.array_equal(answers(tmp_path, source), through(seen, GRIDS["fine"]))


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("src_dtype", ["U8", "S8", "U16", "S16"])
def test_codes_of_another_model_stand_for_reals(tmp_path, src_dtype, normalised):
    mean, std = (MEAN, STD) if normalised else ((), ())
    codes = {"scale": 0.037, "zeropoint": 11}
    processor = replace(PLAIN, src_dtype=src_dtype, mean=mean, std=std, pictures=False, **codes)
    tensor = cut(tmp_path, processor, GRIDS["fine"], NCHW)
    assert tensor.color == ""
    source = values(tensor.dtype, NCHW)
    reals = (source.astype(np.float32) - np.float32(11)) * np.float32(0.037)
    wanted = normal(reals) if normalised else reals
    assert np.array_equal(answers(tmp_path, source), through(wanted, GRIDS["fine"]))


IMAGE = InputData("x", "Image", MEAN, STD)
PICTURE = np.random.default_rng(5).integers(0, 256, (4, 6, 3), np.uint8)
CALIBRATED = (PICTURE.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"mean": MEAN, "std": STD, "src_dtype": "U16"}, PICTURE),
        ({"mean": MEAN, "std": STD, "src_dtype": "S8"}, np.minimum(PICTURE, 127)),
        ({"mean": (0.0,), "std": (1.0,), "pictures": False}, CALIBRATED),
        ({"mean": (0.0,), "std": (1.0,), "pictures": False, "src_dtype": "FP16"}, CALIBRATED.astype(np.float16)),
        ({"mean": (0.0,), "std": (2.0**-10,), "pictures": False, "src_dtype": "S16"}, np.rint(CALIBRATED * 2**-10)),
        ({"pictures": False, "src_dtype": "S16", "scale": 0.0078125, "zeropoint": -3}, np.rint(CALIBRATED * 128) - 3),
        ({"mean": (0.0,), "std": (1.0,), "pictures": False, "src_dtype": "U8"}, np.rint(CALIBRATED).clip(0, 255)),
    ],
)
def test_a_check_feeds_what_lets_the_model_see_what_calibration_showed_it(tmp_path, change, wanted):
    """And the reference sees what becomes of that, bit for bit."""
    processor = replace(PLAIN, src_layout="NHWC", **change)
    tensor = cut(tmp_path, processor, GRIDS["fine"], NCHW)
    source = source_input(PICTURE, IMAGE, tensor.dtype, tensor.layout, processor)
    assert source.dtype == DTYPES[processor.src_dtype]
    assert np.array_equal(source[0], wanted.astype(source.dtype))
    assert np.array_equal(answers(tmp_path, source), through(seen_input(PICTURE, IMAGE, processor), GRIDS["fine"]))


@pytest.mark.parametrize(
    ("sample", "src_dtype", "value"),
    [
        (np.full(NCHW, 0.25, np.float32), "U8", "0.25"),
        (np.full(NCHW, 70000, np.float32), "FP16", "70000"),
        (np.full((1, 4), 49407, np.int64), "S16", "49407"),
        (np.full((1, 4), -1, np.int64), "U32", "-1"),
        (np.full((1, 4), 2**31, np.int64), "U32", "2.14748e[+]09"),
    ],
)
def test_arrays_that_a_type_does_not_hold_are_named_and_never_wrap(sample, src_dtype, value):
    dtype = DTYPES[src_dtype]
    sentence = f"input 'x' of the compiled model is {dtype}, and of a sample it would hold {value}"
    with pytest.raises(SampleMismatchError, match=sentence):
        source_input(sample, InputData("x", "Numpy"), dtype, "", replace(PLAIN, src_dtype=src_dtype))


def test_arrays_are_turned_into_the_levels_that_they_were_made_of(tmp_path):
    processor = replace(PLAIN, src_dtype="U8", mean=MEAN, std=STD)
    sample = CALIBRATED.transpose(2, 0, 1)[np.newaxis]
    source = source_input(sample, InputData("x", "Numpy"), "uint8", "NCHW", processor)
    assert np.array_equal(source[0].transpose(1, 2, 0), PICTURE)
    with pytest.raises(SampleMismatchError, match="it would hold"):
        source_input(sample * 9, InputData("x", "Numpy"), "uint8", "NCHW", processor)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"src_dtype": "S64"}, "src_dtype must be one of U8, S8, U16, S16, U32, S32, FP16, FP32, got 'S64'"),
        ({"tensor_layout": "NHCW"}, "tensor_layout must be NCHW or NHWC, got 'NHCW'"),
        ({"src_dtype": "S32", "scale": 0.5}, "scale is of codes of U8, S8, U16 or S16 for a float input; this one is "
         "FP32, and its src_dtype S32"),
        ({"src_dtype": "S8", "scale": 0.5, "zeropoint": 128}, "scale 0.5 and zeropoint 128 are no grid of S8"),
        ({"src_dtype": "U8", "scale": 1e-42}, "scale 1e-42 and zeropoint 0 are no grid of U8"),
        ({"src_dtype": "S8", "padding": (0, 0, 0, 0, 1, 0, 0, 0), "padding_constant_value": 128},
         "padding_constant_value is 128, and S8 holds -128 to 127"),
        ({"src_dtype": "FP16", "padding": (0, 0, 0, 0, 1, 0, 0, 0), "padding_constant_value": 2049},
         "padding_constant_value is 2049, and FP16 does not hold that number"),
        ({"tensor_layout": "NHWC", "mean": (1.0, 2.0)}, "mean has 2 values"),
    ],
)  # fmt: skip
def test_what_fits_no_input_is_refused(tmp_path, change, sentence):
    with pytest.raises(ProcessorError) as caught:
        cut(tmp_path, replace(PLAIN, **change), GRIDS["fine"], NCHW)
    assert sentence in caught.value.sentence


@pytest.mark.parametrize(
    ("tensor_layout", "shape", "hint"),
    [
        ("NHWC", NCHW, "the model takes its channels first: leave tensor_layout NHWC out"),
        ("NCHW", NHWC, "tensor_layout NHWC is for a model that takes its channels last"),
        ("NCHW", (1, 4, 6, 5), ""),
    ],
)
def test_a_mean_that_fits_the_other_layout_says_so(tmp_path, tensor_layout, shape, hint):
    with pytest.raises(ProcessorError, match="mean has 3 values") as caught:
        cut(tmp_path, replace(PLAIN, tensor_layout=tensor_layout, mean=MEAN, std=STD), GRIDS["fine"], shape)
    assert caught.value.hint == hint
