"""`mode = "NPUBackend"`: the edges of a quantised model as the simulated NPU makes them."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Stage

from ._chips import CHIPS
from ._nouns import AxModel, BoundSamples, CompileSettings, QuantModel
from .checking import SIMULATE_PARTS
from .npu_subgraph import PARTITION, SPLIT
from .samples import input_data

WHOLLY_NPU = Stage("axbuild.toolchain.npu.plan.wholly_npu:wholly_npu", outputs=("preflight.json",))
SIMULATE_LAYERS = Stage(
    "axbuild.toolchain.axmodel.simulate_layers:simulate_layers", outputs=("outputs/",), intermediate=True
)
TAKE_APART = Stage("axbuild.toolchain.analysis.take_apart:take_apart", outputs=("apart.onnx",))
JOIN = Stage("axbuild.toolchain.axmodel.fuse:join", outputs=("compiled.axmodel",))
FLOAT_VALUES = Stage(
    "axbuild.toolchain.analysis.float_values:float_values", float=True, outputs=("boundaries/",), intermediate=True
)
MEASURE_ON_NPU = Stage("axbuild.toolchain.analysis.measure_on_npu:measure_on_npu", float=True, outputs=("edges.json",))


def edges_on_npu(
    plan: Plan, made: AxModel, quant: QuantModel, bound: dict[str, BoundSamples], method: str, size: int
) -> Outputs:
    """quant: what `made` was compiled from; method: PerLayer, of every operator compiled and simulated by itself, or
    EndToEnd, of the axmodel run through."""
    plan.preflight(WHOLLY_NPU, partition=made.groups[0].partition)
    samples = [data.samples for data in bound.values()]
    about = {"inputs": input_data(bound), "size": size}
    measured: dict[str, Any] = {"model": quant.source.model, "quantised": quant.model, "samples": samples}
    if method == "PerLayer":
        values = plan.run(FLOAT_VALUES, **measured, params=about)
        simulated = plan.run(
            SIMULATE_PARTS,
            axmodel=_apart(plan, made.settings, quant),
            boundaries=values,
            samples=[],
            params={"inputs": [], "input_processors": [], "shape_group": 0, "layers": False, "subgraphs": []},
        )
    else:
        processors = {"input_processors": made.settings.input_processors, "shape_group": 0}
        simulated = plan.run(SIMULATE_LAYERS, axmodel=made.axmodel, samples=samples, params=about | processors)
    return plan.run(MEASURE_ON_NPU, **measured, made=simulated, params=about | {"method": method})


def _apart(plan: Plan, settings: CompileSettings, quant: QuantModel) -> Artifact:
    """A compiled model that holds every operator by itself, for the same chip, mode and options."""
    chip = CHIPS[settings.target_hardware]
    apart = plan.run(TAKE_APART, model=quant.source.model, quantised=quant.model)
    target = {
        "chip": chip.support_in(settings.npu_mode),
        "input_processors": [],
        "output_processors": [],
        "sub_configs": [],
        "disable_ir_fix": False,
    }
    done = plan.run(PARTITION, name="partition_apart", model=apart, float_model=quant.source.model, params=target)
    partition = done["partition/"]
    told = {"options": settings.options, "sub_options": []}
    compilation = {"chip": chip.preset(settings.npu_mode), "batches": (1,)} | told
    programs = plan.expand(SPLIT, partition=partition, dynamic=[], params=compilation).result
    named = {"name": settings.target_hardware, "number": settings.chip_number, "npu_mode": settings.npu_mode}
    fused = {"chip": named, "shown_batch": 0, "compressed": False} | told
    return plan.run(JOIN, partition=[partition], programs=[programs], params=fused).only
