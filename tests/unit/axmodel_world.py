"""A compiled model small enough to reason about: every channel of a U8 NHWC picture through a table of its own.

code = 255 - x for channel 0, x for channel 1; a second subgraph turns the codes into float32 (code - 128) / 2, NCHW.
With `on_cpu`, a third one on the CPU takes the absolute value.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from npu_world import CHIPS, Chain
from onnx import helper

from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.kinds.border import Dequantize
from axbuild.toolchain.kinds.codes import U8, Grid
from axbuild.toolchain.kinds.mover import Transpose
from axbuild.toolchain.kinds.table import ChannelTable
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition, PlannedSubgraph

SHAPE, TURNED = (1, 3, 2, 2), (1, 2, 3, 2)
RAW, GRID = Grid(1.0, 0, U8), Grid(0.5, 128, U8)
TABLE = np.stack([np.arange(255, -1, -1), np.arange(256)]).astype(np.uint8)
AX650 = Nameplate("AX650", 0, "NPU1")


def expected(x, *, on_cpu=False):
    """What the model computes, for uint8 [n, 3, 2, 2]."""
    codes = np.stack([255 - x[..., 0], x[..., 1]], axis=1)
    reals = (codes.astype(np.float32) - 128) * np.float32(0.5)
    return np.abs(reals) if on_cpu else reals


def tables() -> onnx.ModelProto:
    chain = Chain()
    x = chain.input("input_0", SHAPE)
    turned = chain.add(Transpose(U8, (0, 3, 1, 2)), x, name="turned")
    return chain.model(chain.add(ChannelTable(RAW, GRID, TABLE, 1), turned, name="output_0"))


def reals() -> onnx.ModelProto:
    chain = Chain()
    return chain.model(chain.add(Dequantize(GRID), chain.input("input_0", TURNED), name="output_0"))


def absolute(op_type: str = "Abs", shape=TURNED, domain: str = "") -> onnx.ModelProto:
    """The file of the subgraph on the CPU."""
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("real", "out/put")]
    graph = helper.make_graph(
        [helper.make_node(op_type, ["real"], ["out/put"], "abs", domain=domain)], "g", *[[p] for p in ports]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 18)], ir_version=10)


def partition_of(*, on_cpu: bool) -> Partition:
    image = BoundaryTensor("image", "uint8", SHAPE, layout="NHWC", color="BGR")
    codes, real = BoundaryTensor("codes", "uint8", TURNED), BoundaryTensor("real", "float32", TURNED)
    out = BoundaryTensor("out/put", "float32", TURNED)
    last = "real" if on_cpu else "out/put"
    subgraphs = [
        PlannedSubgraph(
            "subgraph_npu_0", NPU, ("image",), ("codes",), together=True, check="equal", layers={"turned": "pic/turned"}
        ),
        PlannedSubgraph("subgraph_npu_1", NPU, ("codes",), (last,), together=True, check="equal"),
    ]
    if on_cpu:
        subgraphs.append(PlannedSubgraph("subgraph_cpu_0", CPU, ("real",), ("out/put",)))
    inner = (codes, real) if on_cpu else (codes,)
    return Partition("AX650", (image,), (out,), inner, tuple(subgraphs))


def lay(folder: Path, batches=(1, 2, 4), *, on_cpu: bool = False, op_type: str = "Abs") -> tuple[Path, Path]:
    """The folders that fuse reads: partition and programs; op_type: what runs on the CPU."""
    partition, programs = folder / "partition", folder / "programs"
    partition.mkdir(parents=True)
    partition_of(on_cpu=on_cpu).write(partition)
    (partition / "subgraph_cpu_0.onnx").write_bytes(absolute(op_type).SerializeToString())
    for name, model in (("subgraph_npu_0", tables()), ("subgraph_npu_1", reals())):
        (partition / f"{name}.onnx").write_bytes(model.SerializeToString())
        for batch in batches:
            out = programs / name / f"b{batch}"
            out.mkdir(parents=True)
            params = CompileParams(CHIPS["AX650"].preset("NPU1"), batch)
            compile_subgraph(partition / f"{name}.onnx", out, params=params)
    return partition, programs


def build(folder: Path, batches=(1, 2, 4), *, on_cpu: bool = False, op_type: str = "Abs") -> bytes:
    """The bytes of the fused model."""
    partition, programs = lay(folder, batches, on_cpu=on_cpu, op_type=op_type)
    (folder / "out").mkdir()
    fuse([partition], [programs], folder / "out", params=FuseParams(AX650))
    return (folder / "out" / "compiled.axmodel").read_bytes()
