"""`filegroup`: files under a label, for packages that may not reach into each other's folders."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Settled, Source, rule


@rule
class filegroup:
    """Plain files under one label."""

    example = "pictures"
    gives = Files

    srcs = Source(
        "Paths of files and folders, globs, and labels of other plain files.", required=True, example=["pictures/*.png"]
    )

    def actions(self, t: Settled, plan: Plan) -> Files:
        return Files(t.srcs)
