"""Quantised models the rest of the way: partitioned for a chip, compiled, and fused into one file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from npu_world import CHIPS
from quantised import Quantised

from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.chips.records import Nameplate, Support
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.ops.registry import all_ops


def compiled(
    model: onnx.ModelProto,
    result: Quantised,
    chip: str = "AX650",
    mode: str = "NPU1",
    batches: Sequence[int] = (1,),
    processors: Sequence[InputProcessor] = (),
) -> InferenceSession:
    """The compiled model, all of it on an NPU with the figures of `chip` that refuses no form of an operator.

    model: the float model that `result` came from.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "quant_axmodel.onnx").write_bytes(result.content)
        onnx.save(model, work / "optimized.onnx")
        params = PartitionParams(Support(chip, dict.fromkeys(all_ops(), ())), tuple(processors))
        partition(work / "quant_axmodel.onnx", work / "optimized.onnx", work, params=params)
        planned = Partition.read(work / "partition")
        assert planned.on_cpu == ()
        for subgraph in planned.subgraphs:
            for batch in batches:
                out = work / "programs" / subgraph.name / f"b{batch}"
                out.mkdir(parents=True)
                settings = CompileParams(CHIPS[chip].preset(mode), subgraph.batch_of(batch))
                compile_subgraph(work / "partition" / subgraph.file, out, params=settings)
        nameplate = Nameplate(chip, CHIPS[chip].container, mode)
        fuse([work / "partition"], [work / "programs"], work, params=FuseParams(nameplate))
        return InferenceSession(work / "compiled.axmodel")
