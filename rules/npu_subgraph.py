"""`npu_subgraph`: partition a quantised model for a chip and compile its NPU subgraphs, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.rule import Int, Label, Settled, Shapes, Stage, rule

from ._chips import CHIPS, chosen
from ._compilation import OPTIONS, PATTERNS, Compilation, patterns_of
from ._nouns import Apart, Compilable, CompileSettings, QuantAxModel, QuantModel, Subgraphs, ops_of
from ._processors import settle, settle_outputs, unlike
from .mixed_precision import selected
from .shapes import Sizes, at_shapes, behind

PREFLIGHT = Stage("axbuild.toolchain.npu.plan.preflight:preflight", outputs=("preflight.json",), named=ops_of("model"))
PREFLIGHT_QUANTISED = Stage(
    "axbuild.toolchain.npu.plan.preflight_quantised:preflight_quantised",
    outputs=("preflight.json",),
    named=ops_of("outline"),
)
PARTITION = Stage(
    "axbuild.toolchain.npu.plan.partition:partition",
    outputs=("partition/", "processing.json"),
    named=ops_of("float_model"),
)
SPLIT = Stage("axbuild.toolchain.npu.plan.split:split", expands=True)
COMPILE = Stage(
    "axbuild.toolchain.npu.compile:compile_subgraph", outputs=("program.msgpack", "params.bin", "report.json")
)

DYNAMIC = Stage("axbuild.toolchain.axmodel.dynamic:dynamic_batches", outputs=("batches.json",))
PROFILE = Stage("axbuild.toolchain.npu.profile.profile:profile", outputs=("debug/",))

LARGEST_BATCH = 1024
"""far beyond what pays on any chip; a million would keep the compiler busy for hours"""


@rule
class npu_subgraph(Compilation):
    """All NPU subgraphs of a quantised model for one batch, shape, chip and mode; an axmodel of its own fuses them."""

    example = "b4"
    gives = Subgraphs

    quant = Label("The quantised model.", provides=(QuantModel, QuantAxModel), required=True, example=":quant")
    batch = Int("Samples that one run of a subgraph takes.", low=1, high=LARGEST_BATCH, default=1, example=4)
    shapes = Shapes(
        "Shapes of the inputs, where they are not the model's own; scales and weights are those of its own.",
        example={"input": [1, 3, 384, 384]},
    )

    def actions(self, t: Settled, plan: Plan) -> Subgraphs:
        done = compile_subgraphs(t, plan, t.quant, (t.batch,), shapes=t.shapes)
        plan.output("compiler/", done.programs)
        if t.npu_perf:
            profile(t, plan, done, [])
        return done


def compile_subgraphs(
    t: Settled,
    plan: Plan,
    quant: Compilable,
    batches: tuple[int, ...],
    limit: int = 0,
    apart: Apart | None = None,
    *,
    shapes: Sizes | None = None,
    group: int = 0,
) -> Subgraphs:
    """Preflight, partition and compilation, the same actions for a subgraph target and for an axmodel.

    limit: the largest batch that may be compiled where it pays, in place of `batches`; 0 where these are given; apart:
    what is compiled by itself, None where nothing is; shapes: of the inputs, where they are not the model's own; group:
    which of a target's shape groups that is.
    """
    chip, preset = chosen(t)
    if isinstance(quant, QuantModel) and quant.source.given is not None and not chip.quant_onnx:
        takers = ", ".join(name for name, other in CHIPS.items() if other.quant_onnx)
        sentence = f"a QuantONNX model cannot be compiled for {t.target_hardware}"
        raise t.error("target_hardware", sentence, hint=f"it can for {takers}", code="AX119")
    apart, processors = apart or Apart(), (settle(t, quant), settle_outputs(t))
    about = (chip.name, chip.container, t.npu_mode, batches, *processors, t.only(*OPTIONS))
    settings = CompileSettings(*about, dict(shapes or {}), apart)
    if shapes:
        quant = at_shapes(t, plan, quant, shapes, group)
    end = behind(group)
    target = {
        "chip": chip.support_in(t.npu_mode),
        "input_processors": settings.input_processors,
        "output_processors": settings.output_processors,
        "sub_configs": apart.sub_configs,
    }
    _preflight(t, plan, quant, target, end)
    if not group and isinstance(quant, QuantModel):
        selected(plan, quant.source, quant.asked)  # told where the whole chain is asked for, too
    partition = plan.run(
        PARTITION,
        name=f"partition{end}",
        model=quant.model,
        float_model=quant.operators,
        params=target
        | t.only("disable_ir_fix")
        | _given(
            sub_disable_ir_fix=apart.as_written,
            group_patterns=patterns_of(t, PATTERNS, t.plain(PATTERNS) or ()),
            sub_group_patterns=apart.patterns,
        ),
    )["partition/"]
    compilation = {"chip": preset, "options": settings.options, "sub_options": apart.options}
    dynamic = [
        plan.run(DYNAMIC, name=f"dynamic_batches{of}{end}", partition=partition, params=compilation | asked)
        for of, asked in _dynamic(limit, apart)
    ]
    wanted = compilation | {"batches": batches} | _given(sub_batches=apart.batches)
    split = plan.expand(SPLIT, name=f"split{end}", partition=partition, dynamic=dynamic, params=wanted)
    return Subgraphs(quant, partition, split.result, settings)


def _preflight(t: Settled, plan: Plan, quant: Compilable, target: dict[str, Any], end: str) -> None:
    """What a chip would refuse, or keep off its NPU. target: the parameters of partition; end: behind the name."""
    written = [
        {"tensor_name": p.tensor_name, "src_layout": p.src_layout}
        | ({} if p.tensor_layout == "NCHW" else {"tensor_layout": p.tensor_layout})
        for p in t.input_processors
    ]
    others = unlike(quant, target["input_processors"])
    early = target | {"declared": written} | ({"unlike": others} if others else {})
    name = f"preflight{end}"
    if isinstance(quant, QuantAxModel):
        params = early | {"settled": True}
        plan.preflight(PREFLIGHT_QUANTISED, name=name, model=quant.model, outline=quant.operators, params=params)
        return
    fused_alike = quant.source.given is None and not any(quant.asked.values())
    plan.preflight(PREFLIGHT, name=name, model=quant.source.model, params=early | {"settled": fused_alike})


def _given(**parameters: list[Any]) -> dict[str, Any]:
    """Parameters that say something: an empty list is what a stage takes without one."""
    return {name: value for name, value in parameters.items() if value}


def _dynamic(limit: int, apart: Apart) -> Iterator[tuple[str, dict[str, Any]]]:
    """(end of the action's name, its parameters) of each question which batches pay: of the model with the parts that
    are as it is, and of each part that has a largest batch of its own."""
    if not apart.batches:
        if limit:
            yield "", {"limit": limit}
        return
    alike = [number for number, own in enumerate(apart.limits) if own == limit and not apart.batches[number]]
    if limit:
        yield "", {"limit": limit, "sub_configs": [None, *alike]}
    for number, own in enumerate(apart.limits):
        if own and own != limit:
            yield f"_sub_config_{number}", {"limit": own, "sub_configs": [number]}


def profile(t: Settled, plan: Plan, done: Subgraphs, sub_configs: list[int | None], group: int = 0) -> None:
    """Where the time of compiled subgraphs goes, handed over under compiler/debug/; sub_configs: of which, None for
    what is in no part, an empty list for all."""
    _, preset = chosen(t)
    settings = done.settings
    options = {"options": settings.options, "sub_options": settings.apart.options}
    params = {"chip": preset, "sub_configs": sub_configs} | options
    name = f"profile{behind(group)}"
    found = plan.run(PROFILE, name=name, partition=done.partition, programs=done.programs, params=params)
    plan.output(f"{folder(group)}/debug/", found)


def folder(group: int) -> str:
    """Where a shape group's compilation is handed over."""
    return f"compiler{behind(group)}"
