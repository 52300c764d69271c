"""Auto's ranges: the action that measures in the place of calibration, where samples can be run one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Settled, Stage

from ._nouns import FloatModel, ops_of

CHOOSE_RANGES = Stage(
    "axbuild.toolchain.rounding.choose_ranges:choose_ranges",
    float=True,
    outputs=("scheme.msgpack",),
    named=ops_of("model"),
)


def are_measured(t: Settled) -> bool:
    """Samples of a state are steps of one sequence, and auto_precision calibrates for itself, many times."""
    return bool(t.method == "Auto" and not t.state and t.auto_precision is None)


def measured(
    plan: Plan,
    model: FloatModel,
    statistics: Artifact,
    samples: Sequence[Input],
    params: dict[str, Any],
    inputs: list[dict[str, Any]],
) -> Artifact:
    """The scheme of calibration by Auto. params: of calibration."""
    return plan.run(
        CHOOSE_RANGES,
        model=model.model,
        statistics=statistics,
        samples=samples,
        params={"calibration": params, "inputs": inputs},
    ).only
