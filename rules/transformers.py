"""Transformers: their attributes, and SmoothQuant's actions between the first observation and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Float, Int, Settled, Stage

from ._nouns import FloatModel, ops_of

SMOOTH = Stage(
    "axbuild.toolchain.smooth.smooth:smooth",
    outputs=("smoothed/", "watch.json", "pairs.json", "outliers.txt"),
    named=ops_of("model"),
)
KEEP_PAIRS = Stage(
    "axbuild.toolchain.smooth.keep_pairs:keep_pairs",
    float=True,
    outputs=("optimized/", "statistics.msgpack", "smooth_quant.log"),
    named=ops_of("model"),
)

Observe = Callable[[Artifact, Artifact, str], Artifact]
"""a float model, the list of tensors to watch, a name for the actions -> statistics of all samples"""


class Transformers:
    """What networks of attention ask for: outliers of activations moved into weights, and their stream kept whole."""

    transformer_opt_level = Int(
        "Which tensors of a transformer are in 16 bits: 0 none; 1 what its normalisations and residual sums read and "
        "what goes into Softmax; 2 as 1 but for Softmax, faster and less exact.",
        low=0,
        high=2,
        default=0,
        vendor="quant.transformer_opt_level",
    )
    enable_smooth_quant = Bool(
        "Move outliers of activations into the weights behind them, where that brings the quantised model nearer to "
        "the float one on calibration samples.",
        vendor="quant.enable_smooth_quant",
    )
    smooth_quant_threshold = Float(
        "A tensor is smoothed where half of its channels reach no more than this share of its largest value; 1 takes "
        "every tensor that can be.",
        low=0,
        high=1,
        default=0.2,
        vendor="quant.smooth_quant_threshold",
    )
    smooth_quant_strength = Float(
        "How much of the difference between channels goes into the weights: 1 is all of it, 0 evens the weights alone.",
        low=0,
        high=1,
        default=0.6,
        vendor="quant.smooth_quant_strength",
    )


def smoothed(
    t: Settled,
    plan: Plan,
    observed: Artifact,
    observe: Observe,
    samples: Sequence[Input],
    params: dict[str, Any],
) -> tuple[FloatModel, Artifact]:
    """The float model to calibrate and its statistics; both as they were where it is not enabled.

    observed: the statistics of the model; params: what KEEP_PAIRS is told.
    """
    if not t.enable_smooth_quant:
        return t.model, observed
    model = t.model.model
    strength = {"threshold": t.smooth_quant_threshold, "strength": t.smooth_quant_strength}
    found = plan.run(SMOOTH, model=model, statistics=observed, params=strength)
    moved = observe(found["smoothed/"], found["watch.json"], "smoothed")
    kept = plan.run(
        KEEP_PAIRS,
        model=model,
        statistics=observed,
        pairs=found["pairs.json"],
        moved=moved,
        samples=samples,
        params=params,
    )
    plan.output("quant/outliers.txt", found["outliers.txt"])
    plan.output("quant/smooth_quant.log", kept["smooth_quant.log"])
    return FloatModel(kept["optimized/"], t.model.interface), kept["statistics.msgpack"]
