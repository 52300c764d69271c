"""The bytes of a camera through `pulsar2 run`: the compiled model makes the colours of its own input of them."""

import numpy as np
import pytest
from npu_world import CHIPS, preset_of

from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.pulsar2.run import run
from raw_world import tree, write
from test_npu_colour import NV12, SHAPE, bt601, cut, yuv_of

_, _, HEIGHT, WIDTH = SHAPE
BATCHES = (1, 2)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Gives the levels of the BGR picture that a model of 8 x 12 sees."""
    folder = tmp_path_factory.mktemp("camera")
    cut(folder, NV12)
    for batch in BATCHES:
        out = folder / f"programs/subgraph_npu_0/b{batch}"
        out.mkdir(parents=True)
        compile_subgraph(folder / "partition/subgraph_npu_0.onnx", out, params=CompileParams(preset_of(), batch))
    nameplate = Nameplate("AX650", CHIPS["AX650"].container, "NPU1")
    fuse([folder / "partition"], [folder / "programs"], folder, params=FuseParams(nameplate))
    return folder / "compiled.axmodel"


def test_nv12_files_become_bgr_within_a_level_of_bt601(compiled, tmp_path, monkeypatch):
    """Two frames of [1, H * 3/2, W, 1] bytes, one behind the other, as a camera gives them."""
    monkeypatch.chdir(tmp_path)
    frames = np.random.default_rng(5).integers(0, 256, (2, HEIGHT * 3 // 2, WIDTH, 1), np.uint8)
    write("in/x.bin", frames)
    arguments = ["--model", str(compiled), "--input_dir", "in", "--output_dir", "out", "--batch_size", "2"]
    assert run(arguments, CHIPS) == 0
    found = np.frombuffer(tree("out")["y.bin"], np.float32).reshape(2, *SHAPE[1:])
    for frame, levels in zip(frames, found, strict=True):
        red, green, blue = bt601(*yuv_of(frame, "YUV420SP"), limited=True)
        assert np.abs(levels - np.stack([blue, green, red])).max() <= 1


def test_a_picture_of_three_channels_is_no_frame(compiled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("in/x.bin", np.zeros((1, HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(Exception, match=r"x\.bin has 288 bytes, and input 'x' takes 144: uint8 \[1, 12, 12, 1\]"):
        run(["--model", str(compiled), "--input_dir", "in", "--output_dir", "out", "--batch_size", "1"], CHIPS)
