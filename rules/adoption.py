"""A quantised model that is brought: its scheme is the one that a QDQ model's own nodes make."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.rule import Settled, Stage

from ._nouns import ops_of
from .fine_tuning import METHODS

ADOPT = Stage("axbuild.toolchain.qdq.adopt:adopt", outputs=("scheme.msgpack",), named=ops_of("model"))
ADOPT_OBSERVED = Stage(
    "axbuild.toolchain.qdq.adopt_observed:adopt_observed", outputs=("scheme.msgpack",), named=ops_of("model")
)


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
