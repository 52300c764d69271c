"""A chain of `chain_world` at a second input shape, fused with the first into one model of two shape groups."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from npu_world import CHIPS

from axbuild.toolchain.axmodel.compare import CompareParams, compare
from axbuild.toolchain.axmodel.follow import FollowParams, follow
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.reference import ReferenceParams, reference
from axbuild.toolchain.axmodel.simulate import SimulateParams, simulate
from axbuild.toolchain.axmodel.simulate_parts import SimulatePartsParams, simulate_parts
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.chips.records import Nameplate, Support
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition
from axbuild.toolchain.shapes.optimize_at import OptimizeAtParams, optimize_at
from axbuild.toolchain.shapes.quantize_at import QuantizeAtParams, quantize_at
from chain_world import Chain, place, run_chain


@dataclass(frozen=True)
class Groups:
    """own: the chain at the model's own shape; folder: of the second shape, and of what both are fused to."""

    own: Chain
    folder: Path
    processors: tuple[InputProcessor, ...]

    @property
    def axmodel(self) -> Path:
        return self.folder / "fused/compiled.axmodel"

    @property
    def quant(self) -> Path:
        return self.folder / "quant/quant_axmodel.onnx"

    @property
    def partition(self) -> Path:
        return self.folder / "cut/partition"

    def differing(self, samples: dict[str, list[np.ndarray]], group: int, *, layers: bool = False) -> tuple[int, int]:
        """(elements, those that differ) between the compiled model and its definition in a shape group."""
        folder = place(self.folder, f"compared_{group}_{layers}")
        trees, inputs = [], tuple(InputData(name, "Numpy") for name in samples)
        for name, arrays in samples.items():
            trees.append(place(folder, name))
            for number, array in enumerate(arrays):
                np.save(trees[-1] / f"{number}.npy", array)
        quant, cut = (self.quant, self.partition) if group else (self._own("quant/quant_axmodel.onnx"), self._own_cut)
        ours, theirs, verdict = (place(folder, name) for name in ("ours", "theirs", "verdict"))
        if layers or Partition.read(cut).at(CPU):
            follow(cut, trees, theirs, params=FollowParams(inputs, self.processors, layers))
            params = SimulatePartsParams(inputs, self.processors, group, layers)
            simulate_parts(self.axmodel, theirs / "boundaries", trees, ours, params=params)
        else:
            reference(quant, trees, theirs, params=ReferenceParams(inputs, self.processors))
            simulate(self.axmodel, trees, ours, params=SimulateParams(inputs, self.processors, group))
        compare(ours / "outputs", theirs / "outputs", verdict, params=CompareParams("equal", layers=layers))
        found = json.loads((verdict / "verdict.json").read_text())
        assert found["passed"] == (found["differing"] == 0), found["sentence"]
        return found["elements"], found["differing"]

    @property
    def _own_cut(self) -> Path:
        return self._own("cut/partition")

    def _own(self, file: str) -> Path:
        return self.own.folder / file


def two_groups(proto, folder: Path, samples, shapes, *, batches=(1,), chip="AX650", mode="NPU1", lacking=()) -> Groups:
    """samples: input -> arrays of the model's own shape; shapes: of the second group; lacking: as in `run_chain`."""
    own = run_chain(
        proto, place(folder, "own"), samples, batches=batches, chip=chip, mode=mode, lacking=lacking, images=(None,)
    )
    room, front = place(folder, "other"), own.folder / "float/out/optimized"
    optimize_at(own.folder / "float/in", front, place(room, "front"), params=OptimizeAtParams(shapes))
    scheme, reshaped = own.folder / "calibrated/scheme.msgpack", room / "front/optimized"
    quantize_at(front, front, scheme, reshaped, place(room, "quant"), params=QuantizeAtParams(shapes))
    operators = {name: limits for name, limits in CHIPS[chip].operators.items() if name not in lacking}
    preset = CHIPS[chip].preset(mode)
    support = Support(CHIPS[chip].name, operators, preset.memory)
    processors = tuple(InputProcessor(name, "RGB", "RGB", "FP32", "NCHW", (), ()) for name in samples)
    model = room / "quant/quant_axmodel.onnx"
    partition(model, room / "quant/optimized", place(room, "cut"), params=PartitionParams(support, processors))
    cut = room / "cut/partition"
    for subgraph in Partition.read(cut).at(NPU):
        for batch in batches:
            out = room / "programs" / subgraph.name / f"b{batch}"
            out.mkdir(parents=True)
            params = CompileParams(preset, subgraph.batch_of(batch))
            compile_subgraph(cut / subgraph.file, out, params=params)
    columns = [own.folder / "cut/partition", cut], [own.folder / "programs", room / "programs"]
    settings = FuseParams(Nameplate(CHIPS[chip].name, CHIPS[chip].container, mode))
    fuse(*columns, place(room, "fused"), params=settings)
    return Groups(own, room, processors)
