"""Equalisation: its attribute, and its action between the first observation and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Choice, Settled, Stage

from ._nouns import FloatModel, ops_of

EQUALIZE = Stage(
    "axbuild.toolchain.smooth.equalize:equalize",
    float=True,
    outputs=("optimized/", "statistics.msgpack"),
    named=ops_of("model"),
)


class Equalisation:
    """Channels that a depthwise convolution reads, brought to one size."""

    equalisation = Choice(
        "Whether the channels between a convolution and a depthwise one are brought to one size; auto: where method is "
        "Auto.",
        ("auto", "on", "off"),
        default="auto",
    )


def equalised(
    t: Settled,
    plan: Plan,
    model: FloatModel,
    statistics: Artifact,
    samples: Sequence[Input],
    inputs: list[dict[str, Any]],
) -> tuple[FloatModel, Artifact]:
    """The float model to calibrate and its statistics; both as they were where it is not wanted."""
    if t.equalisation == "off" or (t.equalisation == "auto" and t.method != "Auto"):
        return model, statistics
    done = plan.run(EQUALIZE, model=model.model, statistics=statistics, samples=samples, params={"inputs": inputs})
    return FloatModel(done["optimized/"], model.interface), done["statistics.msgpack"]
