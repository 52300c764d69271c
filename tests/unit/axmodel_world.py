"""A compiled model small enough to reason about: every channel of a U8 NHWC picture through a table of its own.

y[n, h, w, c] = 255 - x for channel 0, x for channel 1; a second subgraph turns the codes into float32 (y - 128) / 2.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.npu.program.encode import encode
from axbuild.toolchain.npu.program.form import Blob, Job, Operand, Port, Program, Region

SHAPE = (1, 3, 2, 2)
TABLE = np.stack([np.arange(255, -1, -1), np.arange(256)]).astype(np.uint8)
HALF = int(np.float32(0.5).view(np.int32))


def expected(x):
    """What the model computes, for uint8 [n, 3, 2, 2]."""
    codes = np.stack([255 - x[..., 0], x[..., 1]], axis=-1)
    return (codes.astype(np.float32) - 128) * np.float32(0.5)


def operand(name, region, shape, dtype="uint8", blob=-1):
    width = np.dtype(dtype).itemsize
    strides = [width]
    for size in reversed(shape[1:]):
        strides.insert(0, strides[0] * size)
    return Operand(name, region, 0, tuple(shape), tuple(strides), dtype, blob)


def program(batch, job, source, target, blobs=()):
    """One job between two ports."""
    return Program(
        chip="AX650",
        npu_mode="NPU1",
        batch=batch,
        clock_mhz=1000,
        engines=("conv0", "conv1", "teng2", "cv3", "sdma4"),
        regions=(Region("ocm_base", "ocm", 0), Region("ddr_swap", "ddr", 0)),
        blobs=blobs,
        inputs=(source,),
        outputs=(target,),
        activations=(),
        jobs=(job,),
        max_cycle=10,
        macs=0,
    )


def table_program(batch):
    shape = (batch, *SHAPE[1:])
    sources = (operand("x", "x", shape), operand("table", "params", TABLE.shape, blob=0))
    job = Job(0, "job", "op", "teng2", "lut", "channel_table", "", sources, (operand("y", "y", shape),), (), 0, 10)
    job = _with(job, {"axis": 3})
    blob = Blob(hashlib.sha256(TABLE.tobytes()).hexdigest(), 0, TABLE.size)
    return program(batch, job, Port("x", "uint8", shape), Port("y", "uint8", shape), (blob,))


def float_program(batch):
    shape = (batch, *SHAPE[1:])
    sources, targets = (operand("x", "x", shape),), (operand("y", "y", shape, "float32"),)
    job = Job(0, "job", "op", "teng2", "quant", "dequantize", "", sources, targets, (), 0, 10)
    job = _with(job, {"scale_bits": HALF, "zero": 128})
    return program(batch, job, Port("x", "uint8", shape), Port("y", "float32", shape))


def _with(job, attr):
    job.attr.update(attr)
    return job


def partition_record():
    return {
        "target_hardware": "AX650",
        "inputs": [{"name": "image", "shape": list(SHAPE), "dtype": "uint8", "layout": "NHWC", "color": "BGR"}],
        "outputs": [{"name": "out/put", "shape": list(SHAPE), "dtype": "float32"}],
        "inner": [{"name": "codes", "shape": list(SHAPE), "dtype": "uint8"}],
        "subgraphs": [
            {"name": "subgraph_npu_0", "inputs": ["image"], "outputs": ["codes"]},
            {"name": "subgraph_npu_1", "inputs": ["codes"], "outputs": ["out/put"]},
        ],
    }


def lay(folder: Path, batches=(1, 2, 4)) -> tuple[Path, Path]:
    """The folders that fuse reads: partition and programs."""
    partition, programs = folder / "partition", folder / "programs"
    partition.mkdir(parents=True)
    (partition / "partition.json").write_text(json.dumps(partition_record()))
    for name, make, constants in (
        ("subgraph_npu_0", table_program, TABLE.tobytes()),
        ("subgraph_npu_1", float_program, b""),
    ):
        for batch in batches:
            place = programs / name / f"b{batch}"
            place.mkdir(parents=True)
            (place / "program.msgpack").write_bytes(encode(make(batch)))
            (place / "params.bin").write_bytes(constants)
    return partition, programs


def build(folder: Path, batches=(1, 2, 4)) -> bytes:
    """The bytes of the fused model."""
    partition, programs = lay(folder, batches)
    params = FuseParams("AX650", "NPU1", tuple(batches))
    (folder / "out").mkdir()
    fuse(partition, programs, folder / "out", params=params)
    return (folder / "out" / "compiled.axmodel").read_bytes()
