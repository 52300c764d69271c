"""Which steps of pre-processing a compiled model holds in front of the user's, and when it holds none."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import onnx
import pytest
from npu_world import support_of

from axbuild.errors import AxNote
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.plan.preflight import Calibrated, Declared, PreflightParams, preflight
from test_npu_colour import NV12, cut, floats

MEAN, STD = (103.939, 116.779, 123.68), (58.0, 58.0, 58.0)
IDENTITY = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
BELOW = (0, 0, 0, 0, 0, 1, 0, 0)
"""one row at the end of the height"""
COLOURS = [
    *("AxSlice", "AxSlice", "AxTranspose", "AxReshape", "AxTranspose", "AxTake", "AxTake", "AxConcat"),
    "AxQuantizedConv",
]
"""the planes apart, chroma repeated, and the matrix"""
PLAIN = InputProcessor("x", "BGR", "BGR", "FP32", "NCHW", (), ())
SEED = replace(PLAIN, src_dtype="U8", src_layout="NHWC", mean=MEAN, std=STD)
TABLE = "AxQuantizedNormalize"
"""dequantise, normalise and the model's first quantisation, as one table a channel"""
CASES = [
    (SEED, "U8 [1, 8, 12, 3] NHWC BGR", "transpose, dequantise, normalise", ["AxTranspose", TABLE]),
    (replace(SEED, src_layout="NCHW"), "U8 [1, 3, 8, 12] NCHW BGR", "dequantise, normalise", [TABLE]),
    (
        replace(SEED, src_dtype="FP32"),
        "FP32 [1, 8, 12, 3] NHWC BGR",
        "transpose, normalise",
        ["AxTranspose", "AxNormalize", "AxQuantizeLinear"],
    ),
    (replace(SEED, mean=(), std=()), "U8 [1, 8, 12, 3] NHWC BGR", "transpose, dequantise", ["AxTranspose", TABLE]),
    (replace(SEED, **IDENTITY), "U8 [1, 8, 12, 3] NHWC BGR", "transpose, dequantise", ["AxTranspose", TABLE]),
    (replace(PLAIN, **IDENTITY), "FP32 [1, 3, 8, 12] NCHW BGR", "nothing", ["AxQuantizeLinear"]),
    (PLAIN, "FP32 [1, 3, 8, 12] NCHW BGR", "nothing", ["AxQuantizeLinear"]),
    (
        replace(PLAIN, mean=MEAN, std=STD),
        "FP32 [1, 3, 8, 12] NCHW BGR",
        "normalise",
        ["AxNormalize", "AxQuantizeLinear"],
    ),
    (replace(PLAIN, padding=BELOW), "FP32 [1, 3, 7, 12] NCHW BGR", "pad", ["AxPad", "AxQuantizeLinear"]),
    (replace(PLAIN, slicing=BELOW), "FP32 [1, 3, 9, 12] NCHW BGR", "slice", ["AxSlice", "AxQuantizeLinear"]),
    (NV12, "U8 [1, 12, 12, 1] NHWC YUV420SP", "YUV420SP to BGR, dequantise", [*COLOURS, TABLE]),
]


@pytest.mark.parametrize(("processor", "form", "said", "kinds"), CASES)
def test_what_is_inserted_is_told_before_the_slow_steps_and_stands_in_the_subgraph(
    tmp_path, processor, form, said, kinds
):
    onnx.save(floats(), tmp_path / "optimized.onnx")
    params = PreflightParams(support_of(), (processor,), (Declared("x", processor.src_layout),))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        preflight(tmp_path / "optimized.onnx", tmp_path, params=params)
    assert [w.message.sentence for w in told if isinstance(w.message, AxNote)] == [
        f"input 'x' is {form} at run time; in front of the model: {said}"
    ]
    cut(tmp_path, processor)
    nodes = [node.op_type for node in onnx.load(tmp_path / "partition/subgraph_npu_0.onnx").graph.node]
    assert nodes == [*kinds, "AxDequantizeLinear"]  # the model's own end
    record = json.loads((tmp_path / "processing.json").read_text())
    operators = record["inputs"][0]["operators"]
    assert ", ".join(one["step"] for one in operators) == said.replace("nothing", "")
    assert {one["within"] or one["op_type"] for one in operators} - {"AxColorSpaceConvert"} <= {*kinds}
    assert [one["op_type"] for one in record["outputs"][0]["operators"]] == ["AxDequantizeLinear"]


def test_nothing_is_told_of_inputs_that_nobody_wrote_a_processor_for(tmp_path):
    onnx.save(floats(), tmp_path / "optimized.onnx")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        preflight(tmp_path / "optimized.onnx", tmp_path, params=PreflightParams(support_of(), (PLAIN,)))
    assert told == []


def test_each_operator_is_told_with_what_it_reads_and_how(tmp_path):
    cut(tmp_path, SEED)
    (told,) = json.loads((tmp_path / "processing.json").read_text())["inputs"]
    assert (told["name"], told["dtype"], told["shape"]) == ("x", "U8", [1, 8, 12, 3])
    about = [(one["name"], one["op_type"], one["dtype"], one["shape"]) for one in told["operators"]]
    assert about == [
        ("pre_transpose_1", "AxTranspose", "U8", [1, 8, 12, 3]),
        ("pre_dequant_1", "AxDequantizeLinear", "U8", [1, 3, 8, 12]),
        ("pre_norm_1", "AxNormalize", "FP32", [1, 3, 8, 12]),
    ]
    attributes = [one["attributes"] for one in told["operators"]]
    assert attributes == [
        {"perm": [0, 3, 1, 2]},
        {"scale": 1.0, "zero_point": 0, "output_dtype": "FP32"},
        {"dim": 1, "mean": list(MEAN), "std": list(STD)},
    ]


UNLIKE = Calibrated("x", "Image", MEAN, STD)


@pytest.mark.parametrize(
    ("processor", "unlike", "code", "sentence"),
    [
        (
            replace(SEED, **IDENTITY, pictures=False), UNLIKE, "AX593",
            "Input 'x' takes x as it comes at run time, and calibration took "
            "(x - [103.939, 116.779, 123.68]) / 58: the compiled model answers wrongly, unless what it is fed makes up "
            "for that; without mean and std in input_processors it takes calibration's",
        ),
        (
            replace(SEED, mean=(1.0,), std=(), pictures=False), replace(UNLIKE, mean=(), std=()), "AX593",
            "Input 'x' takes x - 1 at run time, and calibration took x as it comes: the compiled model answers "
            "wrongly, unless what it is fed makes up for that; without mean and std in input_processors it takes "
            "calibration's",
        ),
        (
            replace(SEED, **IDENTITY, pictures=False), replace(UNLIKE, mean=(0.0,), std=(255.0,)), "AX593",
            "Input 'x' takes x as it comes at run time, and calibration took x / 255: the compiled model answers "
            "wrongly, unless what it is fed makes up for that; without mean and std in input_processors it takes "
            "calibration's",
        ),
        (
            SEED, Calibrated("x", "Numpy", (), ()), "",
            "input 'x' was calibrated with arrays taken as they are, and of what comes in "
            "(x - [103.939, 116.779, 123.68]) / 58 is computed: right where the arrays were made by that",
        ),
        (
            replace(SEED, src_dtype="S8"), None, "AX594",
            "Input 'x' is S8, -128 to 127, and calibration showed the levels of pictures, 0 to 255: what is brighter "
            "cannot be given to the compiled model, but as levels less 128 with mean and std of its own",
        ),
        (replace(SEED, src_dtype="S8", scale=0.1, pictures=False), None, None, None),
    ],
)  # fmt: skip
def test_what_comes_in_otherwise_than_calibration_had_it_is_told_before_the_slow_steps(
    tmp_path, processor, unlike, code, sentence
):
    onnx.save(floats(), tmp_path / "optimized.onnx")
    params = PreflightParams(support_of(), (processor,), unlike=(unlike,) if unlike else ())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        preflight(tmp_path / "optimized.onnx", tmp_path, params=params)
    assert [(w.message.code, w.message.sentence) for w in told] == ([] if code is None else [(code, sentence)])
