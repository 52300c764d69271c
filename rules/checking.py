"""How a compiled model is held against its reference: the actions that checks and sub_configs lay out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.artifact import Artifact, Entry
from axbuild.workspace.rule import Stage

from ._nouns import AxModel, BoundSamples
from .samples import input_data

SIMULATE = Stage("axbuild.toolchain.axmodel.simulate:simulate", outputs=("outputs/",))
REFERENCE = Stage("axbuild.toolchain.axmodel.reference:reference", outputs=("outputs/",))
FOLLOW = Stage("axbuild.toolchain.axmodel.follow:follow", float=True, outputs=("boundaries/", "outputs/"))
SIMULATE_PARTS = Stage("axbuild.toolchain.axmodel.simulate_parts:simulate_parts", outputs=("outputs/",))
ANSWERS = Stage("axbuild.toolchain.axmodel.answers:answers", expands=True)
COMPARE = Stage("axbuild.toolchain.axmodel.compare:compare", outputs=("verdict.json",))

OUTPUTS, LAYERS = "CheckOutput", "CheckPerLayer"
LEVELS = ("close", "equal", "cosine")
LEVEL_OF = {"rtol": "close", "atol": "close", "cosine": "cosine"}
"""limit -> the level that looks at it"""


def comparison(
    level: str, mode: str, limits: Mapping[str, float], tensor_black_list: tuple[str, ...], part: str = ""
) -> dict[str, Any]:
    """The parameters of a comparison; a limit of another level is none. part: what is compared, "" for the whole."""
    own = {name: limits[name] if level == at else 0.0 for name, at in LEVEL_OF.items()}
    return {"level": level, "layers": mode == LAYERS, "tensor_black_list": tensor_black_list, "part": part} | own


def answered(
    plan: Plan, made: AxModel, bound: dict[str, BoundSamples], sub_configs: list[int | None], mode: str, name: str = ""
) -> Artifact:
    """Both sides of a check; sub_configs: those that are looked at, by their place, None for what no one takes; the
    whole model where the list is empty."""
    return plan.expand(
        ANSWERS,
        name=name,
        axmodel=made.axmodel,
        model=made.quant.model,
        partition=made.partition,
        samples=[data.samples for data in bound.values()],
        params={
            "inputs": input_data(bound),
            "input_processors": made.settings.input_processors,
            "layers": mode == LAYERS,
            "sub_configs": sub_configs,
        },
    ).result


def compared(plan: Plan, answers: Artifact, params: dict[str, Any], name: str = "") -> Outputs:
    """The verdict on both sides, judged."""
    simulated, reference = Entry(answers, "simulated/"), Entry(answers, "reference/")
    verdict = plan.run(COMPARE, name=name, params=params, simulated=simulated, reference=reference)
    plan.verdict(verdict)
    return verdict


def fault_of(patterns: tuple[str, ...]) -> str:
    """What is wrong with the first that is no regular expression; "" where all are."""
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"'{pattern}' is no regular expression: {error}"
    return ""
