"""Fine-tuning of a quantised model: its attributes, and the actions between calibration and the quantised model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Choice, Float, Int, Settled, Stage

from ._nouns import FloatModel, ops_of

CHECK = Stage("axbuild.toolchain.tune.check_device:check_device", outputs=("device.json",), float=True)
CUT = Stage("axbuild.toolchain.tune.cut:cut", outputs=("blocks/",), named=ops_of("model"))
BEGIN = Stage("axbuild.toolchain.tune.begin:begin", float=True, outputs=("boundary/",), intermediate=True)
CHAIN = Stage("axbuild.toolchain.tune.chain:chain", expands=True, hands_on=("begin",))
TUNE_BLOCK = Stage(
    "axbuild.toolchain.tune.tune_block:tune_block",
    float=True,
    device=True,
    outputs=("scheme.msgpack", "report.json"),
    named=ops_of("block"),
)
CARRY = Stage(
    "axbuild.toolchain.tune.carry:carry",
    float=True,
    outputs=("boundary/",),
    intermediate=True,
    named=ops_of("block"),
)
FINISH = Stage(
    "axbuild.toolchain.tune.finish:finish",
    float=True,
    outputs=("scheme.msgpack", "finetune.log"),
    named=ops_of("model"),
)

METHODS = ("adaround", "lsq", "brecq")
DEVICES = ("cpu", *(f"cuda:{index}" for index in range(8)))


class FineTuning:
    """Weights learnt on the calibration samples, a block of the model at a time."""

    enable_adaround = Bool(
        "Fine-tune: learn of every weight whether it is rounded up or down.", vendor="quant.enable_adaround"
    )
    enable_lsq = Bool("Fine-tune: learn weights, and the steps of weights and activations.", vendor="quant.enable_lsq")
    enable_brecq = Bool(
        "Fine-tune: learn the rounding of weights together with the steps of activations.", vendor="quant.enable_brecq"
    )
    finetune_epochs = Int("Steps of gradient descent a block.", low=1, default=500, vendor="quant.finetune_epochs")
    finetune_block_size = Int(
        "Operators with weights in a block, where a single piece between branches has no more.",
        low=1,
        default=4,
        vendor="quant.finetune_block_size",
    )
    finetune_batch_size = Int("Samples a step.", low=1, default=1, vendor="quant.finetune_batch_size")
    finetune_lr = Float("Learning rate.", low=1e-9, high=1.0, default=1e-3, vendor="quant.finetune_lr")
    device = Choice("Where fine-tuning computes.", DEVICES, default="cpu", vendor="quant.device")


def is_tuned(t: Settled) -> bool:
    return t.enable_easy_quant or any(getattr(t, f"enable_{method}") for method in METHODS)


def fine_tuned(
    t: Settled, plan: Plan, model: FloatModel, scheme: Artifact, samples: Sequence[Input], inputs: list[dict[str, Any]]
) -> Artifact:
    """The scheme with tuned weights, or the same one where nothing is enabled."""
    chosen = [method for method in METHODS if getattr(t, f"enable_{method}")]
    if len(chosen) > 1:
        named = " and ".join(f"enable_{method}" for method in chosen)
        raise t.error(f"enable_{chosen[1]}", f"{named} are set, and a model is fine-tuned in one way", code="AX115")
    if not chosen:
        return scheme
    plan.preflight(CHECK, params={"device": t.device})
    settings = {
        "method": chosen[0],
        "steps": t.finetune_epochs,
        "batch": t.finetune_batch_size,
        "rate": t.finetune_lr,
    }
    blocks = plan.run(CUT, model=model.model, scheme=scheme, params={"size": t.finetune_block_size})
    begun = plan.run(BEGIN, model=model.model, samples=samples, params={"inputs": inputs})
    tuned = plan.expand(CHAIN, blocks=blocks, begin=begun, params=settings, device=t.device)
    done = plan.run(
        FINISH,
        model=model.model,
        scheme=scheme,
        blocks=blocks,
        tuned=tuned.result,
        begin=begun,
        params=settings | {"device": t.device.partition(":")[0]},
    )
    plan.output("quant/finetune.log", done["finetune.log"])
    return done["scheme.msgpack"]
