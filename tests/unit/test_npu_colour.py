"""Colour spaces, slicing and padding in front of a model: what the simulated NPU makes of a run-time input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from npu_world import Chain, preset_of, support_of
from onnx import helper
from PIL import Image

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.data.processors import InputProcessor, seen_input, source_input
from axbuild.toolchain.kinds.border import Dequantize, Quantize
from axbuild.toolchain.kinds.codes import U8, Grid
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.preflight import PreflightParams, preflight
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.simulator.machine import simulate

SHAPE = (1, 3, 8, 12)
NV12 = InputProcessor("x", "BGR", "YUV420SP", "U8", "NCHW", (), (), csc_mode="LimitedRange")
"""its src_layout is forced to NHWC"""
LEVELS = Grid(1.0, 0, U8)
SEED_ROWS = (1.164, 2.017, 0, -1.081, 1.164, -0.392, -0.813, 0.5297, 1.164, 0, 1.596, -0.8708)
"""the vendor's matrix of a BGR model, its biases as fractions of full scale"""


def net():
    """Levels of a picture, as they come in."""
    chain = Chain()
    x = chain.input("x", SHAPE, "float32")
    return chain.model(chain.add(Dequantize(LEVELS), chain.add(Quantize(LEVELS), x), name="y"))


def floats():
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    return helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "g", [info[0]], [info[1]])
    )


def cut(folder, processor):
    """The partition of `net` behind a processor."""
    (folder / "q.onnx").write_bytes(net().SerializeToString())
    (folder / "optimized.onnx").write_bytes(floats().SerializeToString())
    partition(folder / "q.onnx", folder / "optimized.onnx", folder, params=PartitionParams(support_of(), (processor,)))
    return Partition.read(folder / "partition")


def answered(folder, processor, source, batch=1):
    """What the simulated NPU makes of a run-time input."""
    out = folder / "compiled"
    out.mkdir()
    compile_subgraph(folder / "partition/subgraph_npu_0.onnx", out, params=CompileParams(preset_of(), batch))
    program = decode((out / "program.msgpack").read_bytes())
    return simulate(program, (out / "params.bin").read_bytes(), {"input_0": source})["output_0"]


def bt601(y, u, v, *, limited):
    """R, G, B by ITU-R BT.601 in float64."""
    y, u, v = (plane.astype(np.float64) for plane in (y, u, v))
    if limited:
        y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    else:
        u, v = u - 128, v - 128
    return np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u]).clip(0, 255)


def yuv_of(source, form):
    """Y, U, V of every pixel, read as the formats are documented: NV12 and NV21 planes, 4:2:2 pairs."""
    _, _, height, width = SHAPE
    where = [(h, w) for h in range(height) for w in range(width)]
    if form in ("YUV420SP", "YVU420SP"):
        flat = source.reshape(-1)
        pair = [height * width + (h // 2) * width + w // 2 * 2 for h, w in where]
        first, second = (flat[np.array(pair) + i] for i in (0, 1))
        luma = flat[: height * width]
        found = (luma, first, second) if form == "YUV420SP" else (luma, second, first)
    else:
        pairs = source.reshape(height, width // 2, 4)
        y0, u, y1, v = (0, 1, 2, 3) if form == "YUYV422" else (1, 0, 3, 2)
        found = tuple(
            np.array([pairs[h, w // 2, (y0, y1)[w % 2] if plane == "y" else {"u": u, "v": v}[plane]] for h, w in where])
            for plane in "yuv"
        )
    return tuple(plane.reshape(height, width) for plane in found)


@pytest.mark.parametrize("limited", [True, False])
@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("YUV420SP", (1, 12, 12, 1)),
        ("YVU420SP", (1, 12, 12, 1)),
        ("YUYV422", (1, 8, 12, 2)),
        ("UYVY422", (1, 8, 12, 2)),
    ],
)
def test_yuv_becomes_the_models_colours_within_a_level_of_bt601(tmp_path, form, shape, limited):
    processor = replace(NV12, src_format=form, csc_mode="LimitedRange" if limited else "FullRange")
    record = cut(tmp_path, processor)
    (image,) = record.inputs
    assert (image.dtype, image.shape, image.layout, image.color) == ("uint8", shape, "NHWC", form)
    source = np.random.default_rng(len(form)).integers(0, 256, shape, np.uint8)
    found = answered(tmp_path, processor, source)[0]
    red, green, blue = bt601(*yuv_of(source, form), limited=limited)
    assert np.abs(found - np.stack([blue, green, red])).max() <= 0.6  # half a level is the rounding
    if not limited:
        pillow = Image.fromarray(np.stack(yuv_of(source, form), axis=-1), "YCbCr").convert("RGB")
        assert np.abs(found[::-1].transpose(1, 2, 0) - np.asarray(pillow, np.float32)).max() <= 1


def test_the_models_order_of_channels_is_that_of_the_conversion(tmp_path):
    processor = replace(NV12, tensor_format="RGB")
    cut(tmp_path, processor)
    source = np.full((1, 12, 12, 1), 128, np.uint8)
    source[:, 8:, 1::2] = 240  # V at its most: red
    red, _, blue = answered(tmp_path, processor, source)[0, :, 0, 0]
    assert (red, blue) == (255, 130)


def test_a_matrix_of_the_users_is_what_it_says(tmp_path):
    processor = replace(NV12, csc_mode="Matrix", csc_mat=SEED_ROWS)
    cut(tmp_path, processor)
    source = np.random.default_rng(1).integers(0, 256, (1, 12, 12, 1), np.uint8)
    found = answered(tmp_path, processor, source)[0]
    matrix = np.array(SEED_ROWS).reshape(3, 4)
    planes = np.stack(yuv_of(source, "YUV420SP")).astype(np.float64)
    wanted = np.einsum("oc,chw->ohw", matrix[:, :3], planes) + matrix[:, 3:, np.newaxis] * 256
    assert np.abs(found - wanted.clip(0, 255)).max() <= 0.6


def test_what_the_reference_sees_of_a_picture_is_what_the_npu_makes_of_its_source(tmp_path):
    """Also behind slicing and padding, and of several samples at once."""
    processor = replace(
        NV12, slicing=(0, 0, 0, 0, 2, 0, 0, 4), padding=(0, 0, 0, 0, 0, 2, 1, 1), padding_constant_value=7
    )
    record = cut(tmp_path, processor)
    assert record.inputs[0].shape == (1, 12, 14, 1)  # 8 - 2 + 2 rows, 12 - 2 + 4 columns
    pictures = [np.random.default_rng(i).integers(0, 256, (8, 12, 3), np.uint8) for i in range(2)]
    data = InputData("x", "Image")
    sources = [source_input(picture, data, "uint8", "NHWC", processor) for picture in pictures]
    found = answered(tmp_path, processor, np.concatenate(sources), batch=2)
    seen = np.concatenate([seen_input(picture, data, processor) for picture in pictures])
    assert np.array_equal(found, seen)
    assert (seen[:, :, -2:] == 7).all()
    assert (seen[:, :, :, 0] == 7).all()
    inner = np.stack([picture.transpose(2, 0, 1)[:, :6, 1:11] for picture in pictures])
    assert np.abs(seen[:, :, :6, 1:11].mean() - inner.mean()) < 2  # colour is halved, brightness is there


@pytest.mark.parametrize("dtype", ["U8", "FP32"])
def test_slicing_and_padding_run_on_the_models_axes_whatever_the_layout(tmp_path, dtype):
    processor = InputProcessor(
        "x", "RGB", "RGB", dtype, "NHWC", (), (), slicing=(0, 0, 0, 0, 0, 1, 0, 1), padding=(0, 0, 0, 0, 1, 0, 0, 0)
    )
    record = cut(tmp_path, processor)
    (image,) = record.inputs
    assert image.shape == (1, 8, 13, 3)
    source = np.random.default_rng(2).integers(0, 256, image.shape).astype(image.dtype)
    found = answered(tmp_path, processor, source)
    wanted = np.zeros(SHAPE, np.float32)
    wanted[:, :, 1:] = source.transpose(0, 3, 1, 2)[:, :, :7, :12]
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"csc_mode": "NoCSC"}, "csc_mode NoCSC does not make a picture of YUV: it must be FullRange, LimitedRange or "
         "Matrix."),
        ({"csc_mode": "Matrix"}, "csc_mat has 0 values; csc_mode Matrix takes 12, three rows of four."),
        ({"csc_mode": "Matrix", "csc_mat": (1.0,) * 3 + (8.0,) + (0.0,) * 8},
         "csc_mat has 8 at place 3, and a bias, a fraction of full scale, is between -9 and 8."),
        ({"csc_mode": "Matrix", "csc_mat": (524288.0,) + (0.0,) * 11},
         "csc_mat has 524288 at place 0, and a coefficient is between -524289 and 524288."),
        ({"src_dtype": "FP32"}, "Input 'x': YUV420SP becomes BGR or RGB of three channels, from U8; this input is "
         "[1, 3, 8, 12], its tensor_format BGR and its src_dtype FP32."),
        ({"slicing": (0, 0, 0, 0, 1, 0, 0, 0)},
         "YUV420SP needs pictures of an even height and width, and the model's are 9 x 12."),
        ({"padding": (0, 0, 1)}, "Input 'x': padding has 3 numbers and takes 8 numbers, begin and end of each axis."),
        ({"padding": (0, 0, 0, 0, 8, 0, 0, 0)},
         "Input 'x': padding leaves nothing of [1, 3, 8, 12] to the run-time input."),
        ({"slicing": (1, 0, 0, 0, 0, 0, 0, 0)},
         "Input 'x': slicing takes no negative number, and nothing along axis 0, the samples'."),
        ({"padding": (0, 0, 0, 0, 2, 0, 0, 0), "padding_constant_value": 256},
         "Input 'x': padding_constant_value is 256, and U8 holds 0 to 255."),
        ({"src_format": "GRAY"}, "Input 'x': src_format GRAY does not become tensor_format BGR."),
    ],
)  # fmt: skip
def test_a_conversion_that_does_not_fit_is_refused_before_anything_slow(tmp_path, change, sentence):
    (tmp_path / "optimized.onnx").write_bytes(floats().SerializeToString())
    params = PreflightParams(support_of(), (replace(NV12, **change),))
    with pytest.raises(AxError) as raised:
        preflight(tmp_path / "optimized.onnx", tmp_path, params=params)
    assert (raised.value.code, raised.value.sentence) == ("AX407", sentence)


def test_the_largest_coefficients_of_a_matrix_saturate(tmp_path):
    processor = replace(NV12, csc_mode="Matrix", csc_mat=(500000.0, 0, 0, 0, 0, 0, 0, 0.5, -500000.0, 0, 0, 0))
    cut(tmp_path, processor)
    found = answered(tmp_path, processor, np.full((1, 12, 12, 1), 3, np.uint8))
    assert found[0, :, 0, 0].tolist() == [255, 128, 0]


def test_bgr_for_rgb_exchanges_nothing_and_warns(tmp_path):
    processor = InputProcessor("x", "RGB", "BGR", "U8", "NCHW", (), ())
    (tmp_path / "optimized.onnx").write_bytes(floats().SerializeToString())
    with pytest.warns(UserWarning, match="warning AX412: Input 'x': channels are taken as they come; src_format BGR"):
        preflight(tmp_path / "optimized.onnx", tmp_path, params=PreflightParams(support_of(), (processor,)))
    record = cut(tmp_path, processor)
    assert record.inputs[0].color == "BGR"
    source = np.random.default_rng(3).integers(0, 256, SHAPE, np.uint8)
    assert np.array_equal(answered(tmp_path, processor, source), source.astype(np.float32))
