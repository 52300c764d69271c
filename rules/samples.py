"""Calibration sets as tensors of a model's inputs: the actions that decode them, and what stages are told of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact, Entry, SourceFiles
from axbuild.workspace.rule import DEFAULT, Stage

from ._nouns import BoundSamples, FloatModel, Samples

DECODE = Stage(
    "axbuild.toolchain.data.decode:decode",
    float=True,
    outputs=("samples/", "survey.json", "shards.json"),
    intermediate=True,
)
DEAL = Stage(
    "axbuild.toolchain.data.deal:deal", expands=True, hands_on=("interface",), outputs=("dealt/",), intermediate=True
)
SURVEY = Stage("axbuild.toolchain.data.survey:survey", outputs=("shards.json",))

UNROLL = Stage("axbuild.toolchain.quant.unroll:unroll", float=True, outputs=("states/",), intermediate=True)

SHARD = 64
"""Most samples that are never parted: to decode as many takes a third of a second, and an action some hundredths."""


def bind(
    plan: Plan, model: FloatModel, chosen: Mapping[str, Samples], state: Mapping[str, str]
) -> dict[str, BoundSamples]:
    """Every set as tensors of its input, and what stands in the inputs of states before each sample; state: output ->
    the input that it is for the next sample."""
    states = tuple(state.values())
    bound = {key: decode(plan, key, samples, model.interface, states) for key, samples in chosen.items()}
    if not state:
        return bound
    trees = [samples.samples for samples in bound.values()]
    params = {"inputs": input_data(bound), "state": dict(state)}
    unrolled = plan.run(UNROLL, model=model.model, samples=trees, params=params)["states/"]
    shards = next(iter(bound.values())).shards
    return bound | {
        name: BoundSamples(Entry(unrolled, f"{place}/"), shards, "Numpy", "AutoColorSpace", (), ())
        for place, name in enumerate(states)
    }


def decode(plan: Plan, key: str, samples: Samples, interface: Artifact, states: tuple[str, ...] = ()) -> BoundSamples:
    """A calibration set as tensors of the model input `key` ("DEFAULT": of every input but `states`); a large one in
    shards, so that samples that are added decode those alone that they fall into."""
    name = "" if key == DEFAULT else f"_{key}"
    params = decoding(key, samples, states)
    source = samples.source
    held: Artifact
    shards: Artifact
    if _most(samples) <= SHARD:
        whole = params | {"part": False}
        decoded = plan.run(DECODE, name=f"decode{name}", source=source, interface=interface, params=whole)
        held, shards = decoded["samples/"], decoded["shards.json"]
    else:
        dealt = plan.expand(
            DEAL, name=f"deal{name}", source=source, interface=interface, params=params | {"most": SHARD}
        )
        held, shards = Entry(dealt.result, "samples/"), Entry(dealt.result, "shards.json")
    return BoundSamples(
        held, shards, form_of(samples), samples.tensor_format, samples.mean, samples.std, samples, samples.tensor_layout
    )


def form_of(samples: Samples) -> str:
    """What a set is once it is decoded: pictures, "Image", or the inputs' own values, "Numpy"."""
    return samples.format if samples.format == "Image" else "Numpy"


def decoding(key: str, samples: Samples, states: tuple[str, ...]) -> dict[str, Any]:
    """What decoding is told of a set."""
    return {
        "input": input_name(key),
        "format": samples.format,
        "size": samples.size,
        "tensor_format": samples.tensor_format,
        "mean": samples.mean,
        "std": samples.std,
        "apart": states if key == DEFAULT else (),
    } | _layout(samples)


def _most(samples: Samples) -> float:
    """How many samples a set can have, as far as that is known before it is opened."""
    files = samples.source.files if isinstance(samples.source, SourceFiles) else ()
    loose = len(files) > 1 or any(
        name.endswith((".npy", ".bin", ".png", ".jpg")) for name, _ in files
    )  # one may be an archive
    return min(samples.size if samples.size >= 0 else math.inf, len(files) if loose else math.inf)


def input_data(bound: dict[str, BoundSamples]) -> list[dict[str, Any]]:
    """What stages are told of each tree of samples, in the same order."""
    return [
        {"name": input_name(key), "format": samples.format, "mean": samples.mean, "std": samples.std} | _layout(samples)
        for key, samples in bound.items()
    ]


def _layout(samples: Samples | BoundSamples) -> dict[str, str]:
    """Of a model that takes its channels last; of others nothing, as it was before there was a choice."""
    return {} if samples.tensor_layout == "NCHW" else {"tensor_layout": samples.tensor_layout}


def input_name(key: str) -> str:
    """A calibration key as stages know it: "" is the only input, or every one."""
    return "" if key == DEFAULT else key
