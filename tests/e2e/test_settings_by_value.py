"""Settings of `pulsar2 build`, each shown by what it changes in what is built."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from axbuild.toolchain.axmodel.read import read
from bad_world import BUILD, start
from command_mould import mould

Build = Callable[..., tuple[Path, str]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Flags -> the output_dir of a build with them, and what it said."""
    room = tmp_path_factory.mktemp("settings")
    start(room / "user")
    with mould(room, dict(os.environ) | {"AXBUILD_CACHE_DIR": str(room / "cache")}) as commands:

        def built(*flags: str) -> tuple[Path, str]:
            outcome = commands.run(room / "user", *BUILD.split(), *flags)
            assert outcome.code == 0, outcome.err
            return room / "user/new", outcome.out

        yield built


def batches(out: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The batches that a model was compiled at, and the shape that its input shows."""
    content = (out / "compiled.axmodel").read_bytes()
    (shown,) = onnx.load_from_string(content).graph.input
    return read(content).batches(), tuple(size.dim_value for size in shown.type.tensor_type.shape.dim)


def test_static_batches_are_those_that_were_named(build: Build) -> None:
    out, said = build("--compiler.static_batch_sizes", "1", "2", "4")
    assert batches(out) == ((1, 2, 4), (4, 3, 8, 8))
    assert "graph [subgraph_npu_0] batchs [1, 2, 4]" in said


def test_dynamic_batches_stop_at_the_limit_and_0_is_off(build: Build) -> None:
    assert batches(build("--compiler.max_dynamic_batch_size", "0")[0]) == ((1,), (1, 3, 8, 8))
    assert batches(build("--compiler.max_dynamic_batch_size", "2")[0]) == ((1, 2), (2, 3, 8, 8))


def test_more_cores_take_fewer_cycles_where_the_chip_has_them(build: Build) -> None:
    cycles = {}
    for chip, mode in (("AX650", "NPU1"), ("AX650", "NPU3"), ("AX620E", "NPU1"), ("AX620E", "NPU2")):
        _, said = build("--target_hardware", chip, "--npu_mode", mode)
        assert f"MB for {chip} {mode}" in said
        found = re.search(r"max_cycle = ([\d,]+)", said)
        assert found
        cycles[chip, mode] = int(found[1].replace(",", ""))
    assert cycles["AX650", "NPU3"] <= cycles["AX650", "NPU1"] < cycles["AX620E", "NPU1"]
    assert cycles["AX620E", "NPU2"] <= cycles["AX620E", "NPU1"]


def test_saved_tensors_are_what_the_float_model_gives(build: Build) -> None:
    out, _ = build("--onnx_opt.model_check", "--onnx_opt.save_tensors_data")
    saved = sorted((out / "frontend/tensors").rglob("*.npy"))
    assert saved
    arrays = {path.stem: np.load(path) for path in saved}
    session = onnxruntime.InferenceSession(onnx.load(out.parent / "net.onnx").SerializeToString())
    feed = next(array for array in arrays.values() if array.shape == (1, 3, 8, 8))
    (answer,) = session.run(None, {"x": feed})
    assert any(array.shape == answer.shape and np.allclose(array, answer, atol=1e-5) for array in arrays.values())
