"""16 bits where a target of accuracy needs them: the attribute, and the actions behind calibration that find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Plan
from axbuild.toolchain.npu.chips.table import ChipError
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Choice, Float, OneRecord, Record, Settled, Source, Stage

from ._chips import CHIPS, MODES
from ._nouns import FloatModel, ops_of

SENSE = Stage("axbuild.toolchain.precision.sense:sense", float=True, outputs=("sources.json",), named=ops_of("model"))
RAISE = Stage(
    "axbuild.toolchain.precision.raise_precision:raise_precision",
    float=True,
    outputs=("scheme.msgpack", "auto_precision.toml"),
    named=ops_of("model"),
)

_WIDE = {"start_tensor_names": ["DEFAULT"], "end_tensor_names": ["DEFAULT"], "data_type": "U16"}


class PrecisionGoal:
    """What is to be reached, one of the first three, and whose cycles count."""

    min_snr_db = Float("Smallest signal-to-noise ratio of any output over the samples, in dB.")
    min_cosine = Float("Smallest cosine of any output on any sample.", low=0, high=0.9999999)
    min_metric = Float("Smallest figure that the script `metric` prints.")
    metric = Source(
        "A Python script, called with a folder of <sample>.npz, the outputs by name, and metric_data; the last line "
        "that it prints is the figure, the larger the better.",
        one_file=True,
    )
    metric_data = Source("What the script reads beside, such as labels.")
    target_hardware = Choice("The chip whose cycles are to be few.", tuple(CHIPS), default="AX650")
    npu_mode = Choice("Its mode.", MODES, default="NPU1")


class AutoPrecision:
    """Layer rules found by measuring."""

    auto_precision = OneRecord(
        "Give 16 bits to as few operators and weights as reach this on the calibration samples, by what each one's "
        "error costs the outputs and by estimated cycles; an error where it cannot be reached. Operators that "
        "layer_configs names stay as it says.",
        PrecisionGoal,
        example={"min_snr_db": 30},
    )


def with_precision(
    t: Settled,
    plan: Plan,
    calibrate: Stage,
    model: FloatModel,
    statistics: Artifact,
    samples: Sequence[Input],
    *,
    params: dict[str, Any],
    inputs: list[dict[str, Any]],
) -> Artifact:
    """The calibrated scheme, with 16 bits where auto_precision wants them. params: of the stage `calibrate`."""
    base = plan.run(calibrate, model=model.model, statistics=statistics, params=params)
    goal: Record | None = t.auto_precision
    if goal is None:
        return base.only
    figures = _preset(t, goal)
    wide = plan.run(
        calibrate,
        name="calibrate_wide",
        model=model.model,
        statistics=statistics,
        params=params | {"layer_configs": [_WIDE, *params["layer_configs"]]},
    )
    sensed = plan.run(SENSE, model=model.model, samples=samples, scheme=base, wide=wide, params={"inputs": inputs})
    raised = plan.run(
        RAISE,
        model=model.model,
        statistics=statistics,
        scheme=base,
        sources=sensed,
        samples=samples,
        metric=[file for file in (goal.metric, goal.metric_data) if file is not None],
        params={"calibrate": params, "target": _target(t, goal), "chip": figures, "inputs": inputs},
    )
    plan.output("quant/auto_precision.toml", raised["auto_precision.toml"])
    return raised["scheme.msgpack"]


def _target(t: Settled, goal: Record) -> dict[str, float]:
    names = ("min_snr_db", "min_cosine", "min_metric")
    given = {name: value for name in names if (value := getattr(goal, name)) is not None}
    if len(given) != 1:
        sentence = "auto_precision takes one of min_snr_db, min_cosine and min_metric"
        raise t.error("auto_precision", sentence, code="AX115")
    if ("min_metric" in given) != (goal.metric is not None):
        raise t.error(
            "auto_precision", "min_metric needs metric, the script, and metric needs min_metric", code="AX115"
        )
    return given


def _preset(t: Settled, goal: Record) -> Any:
    try:
        return CHIPS[goal.target_hardware].preset(goal.npu_mode)
    except ChipError as error:
        raise t.error("auto_precision", error.sentence, hint=error.hint, code=error.code) from None
