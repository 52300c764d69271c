"""Observation: the actions that run a float model over samples and gather the statistics of its tensors."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact, Entry
from axbuild.workspace.rule import Stage

from ._nouns import BoundSamples, ops_of
from .samples import input_data

WATCH = Stage("axbuild.toolchain.quant.watch:watch", outputs=("watch.json", "segments.json"), named=ops_of("model"))
SPREAD = Stage("axbuild.toolchain.quant.spread:spread", expands=True, hands_on=("model", "watch", "samples"))
SEGMENT = Stage("axbuild.toolchain.quant.segment:segment", outputs=("segments/",))
OBSERVE = Stage("axbuild.toolchain.quant.observe:observe", float=True, outputs=("statistics.msgpack",))
OBSERVE_ON = Stage(
    "axbuild.toolchain.quant.observe_on:observe_on",
    float=True,
    outputs=("statistics.msgpack", "boundary/"),
    intermediate=True,
)
MERGE = Stage("axbuild.toolchain.quant.merge:merge", outputs=("statistics.msgpack",))


def observed(plan: Plan, model: Artifact, bound: dict[str, BoundSamples], name: str = "") -> Artifact:
    """`statistics.msgpack` of the optimised float model over the samples bound to its inputs.

    name: stands behind the names of the actions, where a target observes more than once.
    """
    watch = plan.run(WATCH, name=f"watch{name}", model=model)
    spread = plan.expand(
        SPREAD,
        name=f"spread{name}",
        model=model,
        watch=watch["watch.json"],
        segments=watch["segments.json"],
        samples=[samples.samples for samples in bound.values()],
        shards=[samples.shards for samples in bound.values()],
        params={"inputs": input_data(bound)},
    )
    return Entry(spread.result, "statistics.msgpack")


def observed_again(plan: Plan, bound: dict[str, BoundSamples], model: Artifact, watch: Artifact, name: str) -> Artifact:
    """The same of the tensors that `watch` lists, in one action; name: as above."""
    samples = [samples.samples for samples in bound.values()]
    params = {"inputs": input_data(bound)}
    seen = plan.run(OBSERVE, name=f"observe_{name}", model=model, watch=watch, samples=samples, params=params)
    return plan.run(MERGE, name=f"merge_{name}", parts=[seen]).only
