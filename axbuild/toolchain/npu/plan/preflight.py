"""Stage: what a chip would refuse of a float model, or keep off its NPU, said before anything slow has run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxNote, AxWarning
from axbuild.toolchain.data.processors import InputProcessor
from axbuild.toolchain.graph import Array, Shape, model_file, shape_of
from axbuild.toolchain.kinds.codes import S8, ElementType
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.plan.flow import float_flow
from axbuild.toolchain.npu.plan.placement import judge, way_back
from axbuild.toolchain.npu.plan.postprocess import OutputProcessor, processors_of
from axbuild.toolchain.npu.plan.preprocess import COLORS, ProcessorError, RuntimeInput, shortest, sources_of
from axbuild.toolchain.npu.plan.sketch import sketched
from axbuild.toolchain.npu.plan.sub_configs import SubConfig, parts_of
from axbuild.toolchain.ops.fused import fused_nodes, without_integer_form
from axbuild.toolchain.quant.tensors import plain_type


@dataclass(frozen=True)
class Declared:
    """What a BUILD file itself says of an input, or of all that have no entry of their own ("DEFAULT")."""

    tensor_name: str
    src_layout: str
    tensor_layout: str = "NCHW"


@dataclass(frozen=True)
class Calibrated:
    """How calibration normalised the samples of an input, "DEFAULT" for every one without an entry of its own,
    that a compiled model treats otherwise. format, mean, std: as in InputData."""

    tensor_name: str
    format: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class PreflightParams:
    """input_processors: one an input, as partition gets them; declared: the entries they were settled from.

    settled: whether operators will be fused as they are without layer rules; unlike: the inputs that come in otherwise
    than calibration's samples did.
    """

    chip: Support
    input_processors: tuple[InputProcessor, ...] = ()
    declared: tuple[Declared, ...] = ()
    output_processors: tuple[OutputProcessor, ...] = ()
    sub_configs: tuple[SubConfig, ...] = ()
    settled: bool = True
    unlike: tuple[Calibrated, ...] = ()


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
        for warning in _warnings(source, params.unlike):
            warnings.warn(warning, stacklevel=2)
        if params.declared and (source.image or source.inserted):
            warnings.warn(AxNote(_in_front(source)), stacklevel=2)
    processors_of(outputs, params.output_processors)
    _check_layouts({name: shape for name, (_, shape) in inputs.items()}, params.declared)


def _warnings(source: RuntimeInput, unlike: tuple[Calibrated, ...]) -> Iterator[AxWarning]:
    """What a model is told to do that runs, and that its user may not have meant."""
    p, named = source.processor, {one.tensor_name: one for one in unlike}
    if source.disorder:
        yield AxWarning("AX412", source.disorder)
    if p is not None and (own := named.get(source.name) or named.get(p.tensor_name)):
        yield _unlike(source, own)
    elif p is not None and source.image and p.tensor_format in COLORS and source.type == S8 and not p.scale:
        sentence = (
            f"Input '{source.name}' is S8, -128 to 127, and calibration showed the levels of pictures, 0 to 255: what "
            "is brighter cannot be given to the compiled model, but as levels less 128 with mean and std of its own"
        )
        yield AxWarning("AX594", sentence)


def _unlike(source: RuntimeInput, own: Calibrated) -> AxWarning:
    here = _computed(source.normalisation())
    if own.format != "Image":
        sentence = (
            f"input '{source.name}' was calibrated with arrays taken as they are, and of what comes in {here} is "
            "computed: right where the arrays were made by that"
        )
        return AxNote(sentence)
    there = RuntimeInput(source.name, source.own, source.shape, _as_calibrated(source, own)).normalisation()
    sentence = (
        f"Input '{source.name}' takes {here} at run time, and calibration took {_computed(there)}: the compiled model "
        "answers wrongly, unless what it is fed makes up for that; without mean and std in input_processors it takes "
        "calibration's"
    )
    return AxWarning("AX593", sentence)


def _as_calibrated(source: RuntimeInput, own: Calibrated) -> InputProcessor | None:
    return replace(source.processor, mean=own.mean, std=own.std) if source.processor else None


def _computed(normal: tuple[Array, Array] | None) -> str:
    """(x - mean) / std with its numbers."""
    if normal is None:
        return "x as it comes"
    mean, std = (shortest(values) for values in normal)
    moved = f"x + {-mean[0]:g}" if mean[0] < 0 and len({*mean}) == 1 else f"x - {_number(mean)}"
    if all(one == 1 for one in std):
        return moved
    return f"({moved}) / {_number(std)}" if any(mean) else f"x / {_number(std)}"


def _number(values: list[float]) -> str:
    """One for all channels, or a list."""
    return f"{values[0]:g}" if len({*values}) == 1 else str(values)


def _in_front(source: RuntimeInput) -> str:
    """What a compiled model takes in, and which steps that spares its user."""
    form = " ".join(filter(None, [str(source.type), str(list(source.source_shape)), source.layout, source.color]))
    steps = ", ".join(one.step for one in source.inserted)
    return f"input '{source.name}' is {form} at run time; in front of the model: {steps or 'nothing'}"


def _check_layouts(inputs: dict[str, Shape], declared: tuple[Declared, ...]) -> None:
    """A layout is of pictures: one that is declared for none of them would have no effect."""
    own = {entry.tensor_name for entry in declared}
    for entry in declared:
        named = [entry.tensor_name] if entry.tensor_name in inputs else [name for name in inputs if name not in own]
        said = [field for field in ("tensor_layout", "src_layout") if getattr(entry, field) == "NHWC"]
        if said and not any(len(inputs[name]) == 4 for name in named):
            shapes = ", ".join(f"'{name}' is {list(inputs[name])}" for name in named)
            raise ProcessorError(f"{said[0]} NHWC has no effect: it is for inputs of rank 4, and {shapes}.")
