"""`npu_subgraph`: partition a quantised model for a chip and compile its NPU subgraphs, by hand."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.rule import Choice, Float, Int, Label, Settled, Stage, rule

from ._nouns import QuantModel, Subgraphs
from ._processors import declared, settle

_PRESETS = "axbuild/toolchain/npu/chips/chips.toml"
PREFLIGHT = Stage(
    "axbuild.toolchain.npu.plan.preflight:preflight",
    outputs=("preflight.json",),
    data=(_PRESETS, "axbuild/toolchain/npu/chips/ops.toml"),
)
PARTITION = Stage("axbuild.toolchain.npu.plan.partition:partition", outputs=("partition/",), data=(_PRESETS,))
SPLIT = Stage("axbuild.toolchain.npu.plan.split:split", expands=True)
COMPILE = Stage(
    "axbuild.toolchain.npu.compile:compile_subgraph",
    outputs=("program.msgpack", "params.bin", "report.json"),
    data=(_PRESETS,),
)

LARGEST_BATCH = 1024
"""far beyond what pays on any chip; a million would keep the compiler busy for hours"""
CHIPS = ("AX650",)
MODES = ("NPU1", "NPU2", "NPU3")


def hardware_attribute() -> Choice:
    return Choice("The chip to compile for.", CHIPS, default="AX650", vendor="target_hardware")


def mode_attribute() -> Choice:
    return Choice("How much of the chip's NPU is used.", MODES, default="NPU1", vendor="npu_mode")


def bandwidth_attribute() -> Float:
    return Float(
        "Limit of the DDR bandwidth that is planned with, in GB/s; 0 is none.",
        low=0,
        default=0,
        vendor="compiler.ddr_bw_limit",
    )


@rule
class npu_subgraph:
    """All NPU subgraphs of a quantised model for one batch, chip and mode; an axmodel of its own fuses them."""

    example = "b4"
    gives = Subgraphs

    quant = Label("The quantised model.", provides=QuantModel, required=True, example=":quant")
    batch = Int("Samples that one run of a subgraph takes.", low=1, high=LARGEST_BATCH, default=1, example=4)
    target_hardware = hardware_attribute()
    npu_mode = mode_attribute()
    ddr_bw_limit = bandwidth_attribute()
    input_processors = declared()

    def actions(self, t: Settled, plan: Plan) -> Subgraphs:
        done = compile_subgraphs(t, plan, t.quant, (t.batch,))
        plan.output("compiler/", done.programs)
        return done


def compile_subgraphs(t: Settled, plan: Plan, quant: QuantModel, batches: tuple[int, ...]) -> Subgraphs:
    """Preflight, partition and compilation, the same actions for a subgraph target and for an axmodel."""
    chip = t.only("target_hardware", "npu_mode")
    processors = settle(t, quant)
    declared = [{"tensor_name": p.tensor_name, "src_layout": p.src_layout} for p in t.input_processors]
    early = chip | {"input_processors": processors, "declared": declared}
    plan.preflight(PREFLIGHT, model=quant.source.model, params=early)
    partition = partitioned(plan, quant, t.target_hardware, processors)
    split = plan.expand(
        SPLIT,
        partition=partition,
        params=chip | {"batches": batches, "ddr_bw_limit": t.ddr_bw_limit},
    )
    settings = chip | {"batches": batches, "ddr_bw_limit": t.ddr_bw_limit, "input_processors": processors}
    return Subgraphs(quant, partition.only, split.result, settings)


def partitioned(plan: Plan, quant: QuantModel, chip: str, processors: list[dict[str, Any]]) -> Outputs:
    return plan.run(PARTITION, model=quant.model, params={"target_hardware": chip, "input_processors": processors})
