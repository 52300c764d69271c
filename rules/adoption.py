"""QDQ models: one that is brought, whose own nodes make the scheme, and one that is written from a scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axbuild.graph.plan import Input, Outputs, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Settled, Stage

from ._nouns import ops_of
from .fine_tuning import METHODS

ADOPT = Stage("axbuild.toolchain.qdq.adopt:adopt", outputs=("scheme.msgpack",), named=ops_of("model"))
ADOPT_OBSERVED = Stage(
    "axbuild.toolchain.qdq.adopt_observed:adopt_observed", outputs=("scheme.msgpack",), named=ops_of("model")
)
EXPORT = Stage("axbuild.toolchain.qdq.export:export", outputs=("qdq.onnx",), named=ops_of("model"))
DISTANCE = Stage("axbuild.toolchain.qdq.distance:distance", float=True, outputs=("qdq.json",))


class Exporting:
    """What else a quantised model is written as."""

    export_qdq = Bool(
        "Write quant/qdq.onnx too, for other runtimes: a plain model with QuantizeLinear and DequantizeLinear on the "
        "same scales; quant/qdq.json says how far it answers from the exact integers."
    )


def exported(
    t: Settled,
    plan: Plan,
    scheme: Artifact,
    quantised: Artifact,
    samples: Sequence[Input],
    inputs: list[dict[str, Any]],
) -> None:
    """The QDQ model and its distance among the target's outputs, where they are asked for."""
    if t.export_qdq:
        written = plan.run(EXPORT, model=t.model.model, scheme=scheme)
        measured = plan.run(DISTANCE, quantised=quantised, exported=written, samples=samples, params={"inputs": inputs})
        plan.output("quant/qdq.onnx", written)
        plan.output("quant/qdq.json", measured)


def adopted(t: Settled, plan: Plan, statistics: Outputs, calibration: dict[str, Any]) -> Outputs | None:
    """The scheme of a QuantONNX model; None where the float model brings no grids.

    statistics: read only where a method or a layer rule is given; without one, what has no grids is float32.
    """
    model = t.model
    if model.given is None:
        return None
    for name in ("bias_correction", *(f"enable_{method}" for method in METHODS)):
        if t.given(name):
            sentence = f"{name} has no effect on a QuantONNX model, which brings its weights in codes"
            raise t.error(name, sentence, code="AX114")
    if t.given("method") or t.layer_configs:
        return plan.run(ADOPT_OBSERVED, model=model.model, given=model.given, statistics=statistics, params=calibration)
    return plan.run(ADOPT, model=model.model, given=model.given)
