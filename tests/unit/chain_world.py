"""Every stage of the model wing, one after another, on a model of a test: from a float ONNX graph to a verdict."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
from npu_world import CHIPS

from axbuild.toolchain.axmodel.compare import CompareParams, compare
from axbuild.toolchain.axmodel.follow import FollowParams, follow
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.reference import ReferenceParams, open_session, reference, run
from axbuild.toolchain.axmodel.simulate import SimulateParams, simulate
from axbuild.toolchain.axmodel.simulate_parts import SimulatePartsParams, simulate_parts
from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.npu.chips.records import Nameplate, Preset, Support
from axbuild.toolchain.npu.compile import CompileParams, compile_subgraph
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrate
from axbuild.toolchain.quant.observe import ObserveParams, observe
from axbuild.toolchain.quant.quantize import QuantizeParams, quantize
from axbuild.toolchain.quant.watch import WatchParams, watch
from frontend_world import optimized


@dataclass(frozen=True)
class Chain:
    """What one run left behind."""

    folder: Path
    inputs: tuple[InputData, ...]
    samples: list[Path]

    @property
    def axmodel(self) -> Path:
        return self.folder / "fused/compiled.axmodel"

    def verdict(self, level="equal"):
        return json.loads((self.folder / level / "verdict.json").read_text())

    def reference_outputs(self, *, optimized: bool):
        """Sample name -> outputs of the bodies under onnxruntime."""
        session = open_session((self.folder / "quant/quant_axmodel.onnx").read_bytes(), optimized=optimized)
        chosen = bind(self.inputs, [item.name for item in session.get_inputs()])
        return {
            name: run(session, {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen})
            for name, files in paired(self.samples, self.inputs)
        }


def place(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def run_chain(
    proto,
    folder: Path,
    samples,
    *,
    images=(),
    source="FP32",
    layout="NCHW",
    mean=(),
    std=(),
    batches=(1,),
    chip="AX650",
    mode="NPU1",
    lacking=(),
    rules=(),
    ocm_bytes=0,
    sub_configs=(),
    sub_batches=(),
    sub_compressed=(),
) -> Chain:
    """samples: input name -> arrays, pictures (uint8 HWC) for the inputs named in `images`; lacking: operators that the
    chip's NPU is taken to have not; rules: of precision; ocm_bytes: on chip, 0 for the chip's own; sub_batches,
    sub_compressed: of each sub_config, none where all are as the model's."""
    optimized(proto, folder / "float")
    model = folder / "float/out/optimized"
    folders = [_laid(folder, name, arrays) for name, arrays in samples.items()]
    inputs = tuple(InputData(name, "Image" if name in images else "Numpy", mean, std) for name in samples)
    quant = _quantised(model, folder, folders, inputs, rules)
    own = {name: (source, mean, std) if name in images or images == () else ("FP32", (), ()) for name in samples}
    processors = tuple(InputProcessor(name, "RGB", "RGB", own[name][0], layout, *own[name][1:]) for name in samples)
    operators = {name: limits for name, limits in CHIPS[chip].operators.items() if name not in lacking}
    own_preset = CHIPS[chip].preset(mode)
    preset = replace(own_preset, ocm_bytes=ocm_bytes or own_preset.ocm_bytes)
    support = Support(CHIPS[chip].name, operators, preset.memory)
    partition(quant, model, place(folder, "cut"), params=PartitionParams(support, processors, sub_configs=sub_configs))
    programs = compiled_programs(folder, batches, preset, sub_batches)
    nameplate = Nameplate(CHIPS[chip].name, CHIPS[chip].container, mode)
    settings = FuseParams(nameplate, sub_compressed=sub_compressed)
    fuse([folder / "cut/partition"], [programs], place(folder, "fused"), params=settings)
    _answers(quant, folder, folders, ReferenceParams(inputs, processors))
    for level in (CompareParams("equal"), CompareParams("close", rtol=1e-5), CompareParams("cosine", cosine=0.999)):
        trees = (folder / "simulated/outputs", folder / "reference/outputs")
        compare(*trees, place(folder, level.level), params=level)
    return Chain(folder, inputs, folders)


def _quantised(model: Path, folder: Path, samples: list[Path], inputs: tuple[InputData, ...], rules) -> Path:
    """quant_axmodel.onnx, with scales of MinMax."""
    watch(model, place(folder, "watched"), params=WatchParams())
    observe(model, folder / "watched/watch.json", samples, place(folder, "observed"), params=ObserveParams(inputs))
    statistics = folder / "observed/statistics.msgpack"
    calibrate(model, statistics, place(folder, "calibrated"), params=CalibrateParams(layer_configs=rules))
    quantize(model, folder / "calibrated/scheme.msgpack", place(folder, "quant"), params=QuantizeParams())
    return folder / "quant/quant_axmodel.onnx"


def _answers(quant: Path, folder: Path, samples: list[Path], params: ReferenceParams) -> None:
    """Both sides of a check, as its expansion lays them out."""
    axmodel, cut, inputs = folder / "fused/compiled.axmodel", folder / "cut/partition", params.inputs
    simulated, out = place(folder, "simulated"), place(folder, "reference")
    if Partition.read(cut).at(CPU):
        follow(cut, samples, out, params=FollowParams(inputs, params.input_processors))
        params_of_parts = SimulatePartsParams(inputs, params.input_processors)
        simulate_parts(axmodel, out / "boundaries", samples, simulated, params=params_of_parts)
    else:
        simulate(axmodel, samples, simulated, params=SimulateParams(inputs, params.input_processors))
        reference(quant, samples, out, params=params)


def _laid(folder: Path, name: str, arrays) -> Path:
    (folder / "samples" / name).mkdir(parents=True)
    for number, array in enumerate(arrays):
        np.save(folder / "samples" / name / f"{number:03}.npy", array)
    return folder / "samples" / name


def compiled_programs(folder: Path, batches, preset: Preset, sub_batches=()) -> Path:
    for subgraph in Partition.read(folder / "cut/partition").at(NPU):
        for batch in subgraph.own(batches, sub_batches):
            out = folder / "programs" / subgraph.name / f"b{batch}"
            out.mkdir(parents=True)
            params = CompileParams(preset, subgraph.batch_of(batch))
            compile_subgraph(folder / "cut/partition" / subgraph.file, out, params=params)
    return folder / "programs"


def float_outputs(proto, feed):
    """The float model's own outputs by onnxruntime."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)
