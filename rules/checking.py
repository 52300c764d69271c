"""How a compiled model is held against its reference: the actions that checks and sub_configs lay out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.artifact import Artifact, Entry, SourceFiles
from axbuild.workspace.rule import Settled, Source, Stage

from ._nouns import AxModel, BoundSamples
from .samples import input_data
from .shapes import behind, samples_at, shown_sizes

SIMULATE = Stage("axbuild.toolchain.axmodel.simulate:simulate", outputs=("outputs/",))
REFERENCE = Stage("axbuild.toolchain.axmodel.reference:reference", outputs=("outputs/",))
FOLLOW = Stage("axbuild.toolchain.axmodel.follow:follow", float=True, outputs=("boundaries/", "outputs/"))
GIVEN = Stage("axbuild.toolchain.axmodel.given:given", float=True, outputs=("boundaries/", "outputs/"))
SIMULATE_PARTS = Stage("axbuild.toolchain.axmodel.simulate_parts:simulate_parts", outputs=("outputs/",))
ANSWERS = Stage("axbuild.toolchain.axmodel.answers:answers", expands=True)
RANDOM_SAMPLES = Stage(
    "axbuild.toolchain.axmodel.random_samples:random_samples", float=True, outputs=("samples/",), intermediate=True
)
COMPARE = Stage("axbuild.toolchain.axmodel.compare:compare", outputs=("verdict.json",))

OUTPUTS, LAYERS = "CheckOutput", "CheckPerLayer"
LEVELS = ("close", "equal", "cosine")
RANDOM = 8
"""samples that are made up where none are known, or as many as all batches together hold"""
LEVEL_OF = {"rtol": "close", "atol": "close", "cosine": "cosine"}
"""limit -> the level that looks at it"""


def sample_files(about: str, **common: Any) -> Source:
    """The attribute `input_sample_dir`."""
    return Source(
        f"Folder of what {about} takes in, to compare on instead of samples: .npy or .bin files, or pictures for an "
        "input that takes them; of several inputs a file or folder each, called as the input is.",
        default=[],
        **common,
    )


def folder_of(t: Settled, attribute: str, files: Artifact | None) -> Artifact | None:
    """The files, which lie in a folder."""
    if isinstance(files, SourceFiles) and not files.tree:
        raise t.error(attribute, f"input_sample_dir is a folder, and {files.files[0][1]} is a file", code="AX106")
    return files


def comparison(
    level: str, mode: str, limits: Mapping[str, float], tensor_black_list: tuple[str, ...], part: str = ""
) -> dict[str, Any]:
    """The parameters of a comparison; a limit of another level is none. part: what is compared, "" for the whole."""
    own = {name: limits[name] if level == at else 0.0 for name, at in LEVEL_OF.items()}
    return {"level": level, "layers": mode == LAYERS, "tensor_black_list": tensor_black_list, "part": part} | own


def answered(
    plan: Plan,
    made: AxModel,
    bound: dict[str, BoundSamples],
    mode: str,
    *,
    group: int = 0,
    data: Artifact | None = None,
    sub_configs: list[int | None],
    start: int | None = None,
    name: str = "answers",
) -> Artifact:
    """Both sides of a check, of one shape group.

    data: what the compiled model takes in, or where the sub_config `start` is given, this part of it, instead of
    samples; sub_configs: those that are looked at, by their place, None for what is in none; the whole model where the
    list is empty. Where neither data nor samples are known, they are made up.
    """
    samples, column = {} if data else bound, made.groups[group]
    if not data and not samples:
        data, start = _made_up(plan, made, f"random_{name}"), None
    return plan.expand(
        ANSWERS,
        name=f"{name}{behind(group)}",
        axmodel=made.axmodel,
        model=column.quant.model,
        partition=column.partition,
        samples=[one.samples for one in samples.values()],
        data=[data] if data else [],
        params={
            "inputs": input_data(samples),
            "input_processors": column.settings.input_processors,
            "layers": mode == LAYERS,
            "processed": bool(column.settings.output_processors),
            "shape_group": group,
            "sub_configs": sub_configs,
            "start": start,
        },
    ).result


def _made_up(plan: Plan, made: AxModel, name: str) -> Artifact:
    """What a compiled model takes in, at random."""
    settings, column = made.settings, made.groups[0]
    count = max(RANDOM, sum(settings.batches))
    params = {"count": count, "input_processors": settings.input_processors}
    model, partition = column.quant.model, column.partition
    return plan.run(RANDOM_SAMPLES, name=name, model=model, partition=partition, params=params).only


def fitted(
    plan: Plan, made: AxModel, bound: dict[str, BoundSamples]
) -> Iterator[tuple[int, str, dict[str, BoundSamples]]]:
    """(number, what is said of it, samples at its shapes) of each shape group."""
    yield 0, "", bound
    for number, column in enumerate(made.groups[1:], start=1):
        samples, how = samples_at(plan, bound, column.quant, number)
        yield number, f"shape group {number} ({shown_sizes(column.settings.shapes)}; {how})", samples


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
