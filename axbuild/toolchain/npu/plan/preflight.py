"""Stage: what a chip would refuse of a float model, or keep off its NPU, said before anything slow has run."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxNote, AxWarning
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.graph import Shape, model_file, shape_of
from axbuild.toolchain.kinds.codes import ElementType
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.plan.flow import float_flow
from axbuild.toolchain.npu.plan.placement import judge, way_back
from axbuild.toolchain.npu.plan.postprocess import OutputProcessor, processors_of
from axbuild.toolchain.npu.plan.preprocess import ProcessorError, RuntimeInput, sources_of
from axbuild.toolchain.npu.plan.sketch import sketched
from axbuild.toolchain.npu.plan.sub_configs import SubConfig, parts_of
from axbuild.toolchain.ops.fused import fused_nodes, without_integer_form
from axbuild.toolchain.quant.tensors import plain_type


@dataclass(frozen=True)
class Declared:
    """What a BUILD file itself says of an input, or of all that have no entry of their own ("DEFAULT")."""

    tensor_name: str
    src_layout: str


@dataclass(frozen=True)
class PreflightParams:
    """input_processors: one an input, as partition gets them; declared: the entries they were settled from.

    settled: whether operators will be fused as they are without layer rules.
    """

    chip: Support
    input_processors: tuple[InputProcessor, ...] = ()
    declared: tuple[Declared, ...] = ()
    output_processors: tuple[OutputProcessor, ...] = ()
    sub_configs: tuple[SubConfig, ...] = ()
    settled: bool = True


def preflight(model: Path, out: Path, *, params: PreflightParams) -> None:
    """model: the front end's folder. Writes preflight.json: what is expected on the CPU.

    Warns of each node that a limit keeps off the NPU. Raises ProcessorError where an input's or output's processor
    does not fit it, SubConfigError where a sub_config names no part that can stand alone.
    """
    chip = params.chip
    graph = ir.load(model_file(model)).graph
    judged = [
        (fused, judge(fused.nodes, chip, without_integer_form(fused.node), sketched(fused)))
        for fused in fused_nodes(graph)
    ]
    for fused, judgement in judged:
        if judgement.expected:
            warnings.warn(AxWarning("AX406", way_back(fused.node, judgement)), stacklevel=2)
    on_cpu = [
        {"name": fused.name, "op_type": fused.node.op_type, "reasons": judgement.reasons}
        for fused, judgement in judged
        if not judgement.on_npu
    ]
    if params.sub_configs:
        asked = [name for one in params.sub_configs for name in (*one.start_tensor_names, *one.end_tensor_names)]
        parts_of(float_flow(graph, judged, asked, settled=params.settled), params.sub_configs)
    inputs = {value.name or "": (plain_type(value), shape_of(value)) for value in graph.inputs}
    look_at_ends(inputs, {value.name or "": shape_of(value) for value in graph.outputs}, params)
    record = {"chip": chip.name, "nodes": len(graph), "on_cpu": on_cpu}
    (out / "preflight.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def look_at_ends(
    inputs: dict[str, tuple[ElementType, Shape]], outputs: dict[str, Shape], params: PreflightParams
) -> None:
    """Warn of channels that come in another order, and say what a picture's processor spares its user; raises
    ProcessorError where one does not fit its input or output. inputs: type and shape of each."""
    for source in sources_of(inputs, params.input_processors):
        if source.disorder:
            warnings.warn(AxWarning("AX412", source.disorder), stacklevel=2)
        if source.image and params.declared:
            warnings.warn(AxNote(_in_front(source)), stacklevel=2)
    processors_of(outputs, params.output_processors)
    _check_layouts({name: shape for name, (_, shape) in inputs.items()}, params.declared)


def _in_front(source: RuntimeInput) -> str:
    """What a compiled model takes in, and which steps that spares its user."""
    form = " ".join(filter(None, [str(source.type), str(list(source.source_shape)), source.layout, source.color]))
    return (
        f"input '{source.name}' is {form} at run time; in front of the model: {', '.join(source.inserted) or 'nothing'}"
    )


def _check_layouts(inputs: dict[str, Shape], declared: tuple[Declared, ...]) -> None:
    """A layout is of pictures: one that is declared for none of them would have no effect."""
    own = {entry.tensor_name for entry in declared}
    for entry in declared:
        named = [entry.tensor_name] if entry.tensor_name in inputs else [name for name in inputs if name not in own]
        if entry.src_layout == "NHWC" and not any(len(inputs[name]) == 4 for name in named):
            shapes = ", ".join(f"'{name}' is {list(inputs[name])}" for name in named)
            raise ProcessorError(f"src_layout NHWC has no effect: it is for inputs of rank 4, and {shapes}.")
