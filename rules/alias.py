"""`alias`: another name for a target."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.rule import Label, Settled, rule


@rule
class alias:
    """Another label for a target: whoever names it gets that target, with its outputs and its verdict."""

    example = "latest"

    actual = Label("The target that is meant.", required=True, example=":axmodel")

    def actions(self, t: Settled, plan: Plan) -> Any:
        plan.forward(t.plain("actual"))
        return t.actual
