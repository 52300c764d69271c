"""Weights rounded by samples: the attribute, and the action behind calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Choice, Settled, Stage

from ._nouns import FloatModel, ops_of

ROUND_WEIGHTS = Stage(
    "axbuild.toolchain.rounding.round_weights:round_weights",
    float=True,
    outputs=("scheme.msgpack",),
    named=ops_of("model"),
)


class WeightRounding:
    """Weights whose errors cancel on what they are multiplied with."""

    weight_rounding = Choice(
        "Whether weights are rounded by samples, so that their errors cancel on what they are multiplied with; auto: "
        "where method is Auto and no state is handed on.",
        ("auto", "on", "off"),
        default="auto",
    )


def rounded(
    t: Settled, plan: Plan, model: FloatModel, scheme: Artifact, samples: Sequence[Input], inputs: list[dict[str, Any]]
) -> Artifact:
    """The scheme with weights rounded by samples, or the same one where it is not wanted."""
    if t.state and t.weight_rounding == "on":
        sentence = (
            "weights are rounded by samples that stand by themselves, and those of a state are steps of a sequence"
        )
        raise t.error("weight_rounding", sentence, code="AX115")
    if t.weight_rounding == "off" or (t.weight_rounding == "auto" and (t.method != "Auto" or t.state)):
        return scheme
    return plan.run(ROUND_WEIGHTS, model=model.model, scheme=scheme, samples=samples, params={"inputs": inputs}).only
