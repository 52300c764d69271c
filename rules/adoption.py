"""QDQ models: one that is brought, whose own nodes make the scheme, and one that is written from a scheme."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Settled, Stage

from ._nouns import BoundSamples, FloatModel, ops_of
from .fine_tuning import METHODS
from .samples import input_data

ADOPT = Stage("axbuild.toolchain.qdq.adopt:adopt", outputs=("scheme.msgpack",), named=ops_of("model"))
ADOPT_OBSERVED = Stage(
    "axbuild.toolchain.qdq.adopt_observed:adopt_observed", outputs=("scheme.msgpack",), named=ops_of("model")
)
EXPORT = Stage("axbuild.toolchain.qdq.export:export", outputs=("qdq.onnx",), named=ops_of("model"))
DISTANCE = Stage("axbuild.toolchain.qdq.distance:distance", float=True, outputs=("qdq.json",))

REFUSED = (
    "bias_correction",
    "equalisation",
    "auto_precision",
    "frozen",
    "state",
    "transformer_opt_level",
    "enable_smooth_quant",
    "enable_easy_quant",
    *(f"enable_{method}" for method in METHODS),
    "highest_mix_precision",
    "conv_bias_data_type",
    "refine_weight_threshold",
    "disable_auto_refine_scale",
    "ln_scale_data_type",
    "disable_quant_optimization",
)
"""attributes that choose what such a model has chosen"""


class Exporting:
    """What else a quantised model is written as."""

    export_qdq = Bool(
        "Write quant/qdq.onnx too, for other runtimes: a plain model with QuantizeLinear and DequantizeLinear on the "
        "same scales; quant/qdq.json says how far it answers from the exact integers."
    )


def exported(
    t: Settled,
    plan: Plan,
    model: FloatModel,
    scheme: Artifact,
    quantised: Artifact,
    bound: dict[str, BoundSamples],
) -> None:
    """The QDQ model and its distance among the target's outputs, where they are asked for."""
    if t.export_qdq:
        written = plan.run(EXPORT, model=model.model, scheme=scheme)
        samples, params = [one.samples for one in bound.values()], {"inputs": input_data(bound)}
        measured = plan.run(DISTANCE, quantised=quantised, exported=written, samples=samples, params=params)
        plan.output("quant/qdq.onnx", written)
        plan.output("quant/qdq.json", measured)


def adopted(t: Settled, plan: Plan, given: Artifact, statistics: Artifact, calibration: dict[str, Any]) -> Artifact:
    """The scheme of a QuantONNX model, whose own grids are `given`.

    statistics: read only where a method or a layer rule is given; without one, what has no grids is float32.
    """
    for name in REFUSED:
        if t.given(name):
            sentence = f"{name} has no effect on a QuantONNX model, which brings its weights in codes"
            raise t.error(name, sentence, code="AX114")
    model = t.model.model
    if t.given("method") or t.layer_configs:
        return plan.run(ADOPT_OBSERVED, model=model, given=given, statistics=statistics, params=calibration).only
    return plan.run(ADOPT, model=model, given=given).only
