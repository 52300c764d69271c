"""Which steps of pre-processing a compiled model holds in front of the user's, and when it holds none."""

from __future__ import annotations

import warnings
from dataclasses import replace

import onnx
import pytest
from npu_world import support_of

from axbuild.errors import AxNote
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.plan.preflight import Declared, PreflightParams, preflight
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
    (SEED, "U8 [1, 8, 12, 3] NHWC BGR", "dequantise, normalise, transpose", ["AxTranspose", TABLE]),
    (replace(SEED, src_layout="NCHW"), "U8 [1, 3, 8, 12] NCHW BGR", "dequantise, normalise", [TABLE]),
    (
        replace(SEED, src_dtype="FP32"),
        "FP32 [1, 8, 12, 3] NHWC BGR",
        "normalise, transpose",
        ["AxTranspose", "AxNormalize", "AxQuantizeLinear"],
    ),
    (replace(SEED, mean=(), std=()), "U8 [1, 8, 12, 3] NHWC BGR", "dequantise, transpose", ["AxTranspose", TABLE]),
    (replace(SEED, **IDENTITY), "U8 [1, 8, 12, 3] NHWC BGR", "dequantise, transpose", ["AxTranspose", TABLE]),
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


def test_nothing_is_told_of_inputs_that_nobody_wrote_a_processor_for(tmp_path):
    onnx.save(floats(), tmp_path / "optimized.onnx")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        preflight(tmp_path / "optimized.onnx", tmp_path, params=PreflightParams(support_of(), (PLAIN,)))
    assert told == []
