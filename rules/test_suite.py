"""`test_suite`: checks under one label."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.providers import Tests, Verdict
from axbuild.workspace.rule import Labels, Settled, rule


@rule
class test_suite:
    """Checks under one label: who builds or tests the suite builds or tests each of them."""

    __test__ = False
    example = "checks"
    gives = Tests

    tests = Labels(
        "Checks, and other suites; every check of the package where none is named.",
        provides=(Verdict, Tests),
        rest_of_package=Verdict,
        example=[":check"],
    )

    def actions(self, t: Settled, plan: Plan) -> Tests:
        found: dict[str, None] = {}
        for label, given in zip(t.plain("tests"), t.tests, strict=True):
            found.update(dict.fromkeys(given.labels if isinstance(given, Tests) else [label]))
        if not found:
            raise t.error("", "tests is empty, and the package has no check", code="AX114")
        return Tests(tuple(found))
