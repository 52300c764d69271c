"""EasyQuant: its attribute, and the actions between calibration and fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Settled, Stage

from ._nouns import FloatModel, ops_of

CUT_GRIDS = Stage(
    "axbuild.toolchain.search.cut_grids:cut_grids",
    outputs=("blocks/",),
    named=ops_of("model"),
)
RECORD = Stage(
    "axbuild.toolchain.search.record:record",
    float=True,
    outputs=("tensors/",),
    intermediate=True,
)
SEARCH = Stage("axbuild.toolchain.search.search:search", expands=True)
SEARCH_BLOCK = Stage(
    "axbuild.toolchain.search.search_block:search_block",
    float=True,
    outputs=("scheme.msgpack", "report.json"),
    named=ops_of("block"),
)
FINISH_SEARCH = Stage(
    "axbuild.toolchain.search.finish_search:finish_search",
    float=True,
    outputs=("scheme.msgpack", "easy_quant.log"),
    named=ops_of("model"),
)


class EasyQuant:
    """Scales searched by what they do to a layer's outputs."""

    enable_easy_quant = Bool(
        "Search the scales of activations and weights, a tensor with what reads it at a time, for the outputs nearest "
        "to the float model's on calibration samples. It needs no torch, and time; 32 samples or more are advised.",
        vendor="quant.enable_easy_quant",
    )


def searched(
    t: Settled, plan: Plan, model: FloatModel, scheme: Artifact, samples: Sequence[Input], inputs: list[dict[str, Any]]
) -> Artifact:
    """The scheme with searched scales, or the same one where it is not enabled."""
    if not t.enable_easy_quant:
        return scheme
    blocks = plan.run(CUT_GRIDS, model=model.model, scheme=scheme)
    read = plan.run(RECORD, model=model.model, blocks=blocks, samples=samples, params={"inputs": inputs})
    found = plan.expand(SEARCH, blocks=blocks, tensors=read)
    done = plan.run(
        FINISH_SEARCH,
        model=model.model,
        scheme=scheme,
        blocks=blocks,
        found=found.result,
        samples=samples,
        params={"inputs": inputs},
    )
    plan.output("quant/easy_quant.log", done["easy_quant.log"])
    return done["scheme.msgpack"]
