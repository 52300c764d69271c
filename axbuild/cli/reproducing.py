"""`--check_reproducible`: the second build, and what it says."""

from __future__ import annotations

import json
import sys

from axbuild.engine.build import Report, Request
from axbuild.engine.reproduce import NotReproducible, build_again
from axbuild.errors import counted
from axbuild.report.lines import PlainRenderer
from axbuild.report.style import Style


def reproduce(request: Request, first: Report, as_json: bool) -> int:
    """Build again and compare; the exit code."""
    print("building again, in another folder, order and number of jobs", file=sys.stderr)
    found = build_again(request, first, PlainRenderer(sys.stderr))
    if found.again.exit_code:
        for error in found.again.errors:
            print(error, file=sys.stderr)
        return found.again.exit_code
    if as_json:
        record = {
            "actions": found.actions,
            "files": found.files,
            "differences": [vars(difference) for difference in found.differences],
            "external": [list(id_) for id_ in found.external],
        }
        print(json.dumps({"reproducible": record}))
    if found.differences:
        raise NotReproducible(found.differences)
    style = Style(sys.stdout)
    if not as_json:
        print(
            f"{style('green', 'reproducible')}: {counted(found.files, 'file')} of "
            f"{counted(found.actions, 'action')} came out the same"
        )
        for label, action in found.external:
            print(f"not compared: {label} {action}, whose bytes a tool outside axbuild makes")
    return 0
