"""`axbuild diff`"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from axbuild.cli.common import here, json_option
from axbuild.engine.records.compare import Difference, compare
from axbuild.engine.records.events import ActionFinished, TestResult
from axbuild.engine.records.history import BuildRecord, History
from axbuild.report.reasons import diff_text
from axbuild.report.style import quiet_pipes
from axbuild.store.store import Store


@click.command("diff", context_settings={"ignore_unknown_options": True})
@click.argument("first", default="-1")
@click.argument("second", default="last")
@json_option
def command(first: str, second: str, as_json: bool) -> int:
    """Say what moved between two builds: of each action whose key differs, which part of it.

    A build is named by its number (see `axbuild builds`), by `last`, or by -1 for the one before the last, -2 for
    the one before that. Without arguments, the last two are compared.

    \b
    axbuild diff
    axbuild diff 12 last
    axbuild diff -3
    """
    workspace = here()
    history = History(workspace.state_dir / "builds")
    one, other = history.find(first), history.find(second)
    low, high = sorted((one.number, other.number))
    between = [record for record in history.newest_first() if low < record.number <= high]
    with Store(workspace.cache_dir) as store:
        found = compare(one, other, between, store.results)
    with quiet_pipes():
        print(json.dumps(_record(found)) if as_json else diff_text(found, sys.stdout))
    return 0


def _record(found: Difference) -> dict[str, Any]:
    moved = [
        {
            "label": one.after.label,
            "action": one.after.action,
            "stage": one.after.stage,
            "keys": [one.before.key, one.after.key],
            "causes": [cause.record() for cause in one.causes],
            "same_outputs": one.same_outputs,
        }
        for one in found.moved
    ]
    return {
        "first": _build(found.first),
        "second": _build(found.second),
        "moved": moved,
        "same": found.same,
        "only_first": [_id(event) for event in found.only_first],
        "only_second": [_id(event) for event in found.only_second],
        "checks": [[_check(before), _check(after)] for before, after in found.checks],
    }


def _build(record: BuildRecord) -> dict[str, Any]:
    return {"number": record.number, "time": record.time, "release": record.release, "command": record.command}


def _id(event: ActionFinished) -> dict[str, str]:
    return {"label": event.label, "action": event.action}


def _check(result: TestResult | None) -> dict[str, Any] | None:
    return None if result is None else {name: getattr(result, name) for name in ("label", "passed", "sentence")}
