"""`axbuild why`"""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from axbuild.cli.common import config_option, json_option, targets
from axbuild.engine.build import Request, build
from axbuild.engine.records.events import ActionFinished, Event
from axbuild.engine.records.history import History
from axbuild.engine.records.made import Made
from axbuild.engine.records.why import Why, why
from axbuild.graph.targets import TargetGraph, load
from axbuild.report.reasons import why_text
from axbuild.report.style import quiet_pipes
from axbuild.workspace.workspace import Workspace


@click.command("why")
@targets()
@json_option
@config_option
def command(targets: tuple[str, ...], as_json: bool, config: tuple[str, ...]) -> int:
    """Say, for each action of a target, why it ran in the last build or since when its result is valid.

    What ran is told by the parts of its key that moved: a file with its old and new digest, a parameter with both
    values, the module of a stage, a tool's version, the float platform, a blob that was lost. What an edit since then
    would make run is told below.
    """
    start = Path.cwd()
    workspace = Workspace.find(start, {}, config)
    graph = load(workspace, targets, workspace.package_of(start))
    found = why(History(workspace.state_dir / "builds"), targets, set(graph.requested), set(graph.targets))
    pending = _pending(targets, start, config)
    with quiet_pipes():
        print(
            json.dumps(_record(found, pending))
            if as_json
            else why_text(found, pending, sys.stdout, partial(_where, workspace, graph))
        )
    return 0


def _where(workspace: Workspace, graph: TargetGraph, label: str, parameter: str) -> str:
    """Where a parameter is written: an attribute of the target itself, or of one that it names."""
    target = graph.targets.get(label)
    words = re.findall(r"[a-z_]+", parameter)
    for one in [] if target is None else [target, *(graph.targets[needed] for needed in target.labels)]:
        for word in words:
            if word in one.given():
                return str(workspace.packages.place(one, word))
    return ""


def _pending(patterns: tuple[str, ...], start: Path, config: tuple[str, ...]) -> list[ActionFinished]:
    events: list[Event] = []
    build(Request("why", patterns, start, config=config, dry_run=True), events.append)
    return [event for event in events if isinstance(event, ActionFinished) and event.status in ("skipped", "failed")]


def _record(found: Why, pending: list[ActionFinished]) -> dict[str, Any]:
    return {
        "build": found.record.number,
        "time": found.record.time,
        "command": found.record.command,
        "actions": [_action(reason.event) | {"valid_since": _since(reason.since)} for reason in found.reasons],
        "pending": [_action(event) for event in pending],
    }


def _action(event: ActionFinished) -> dict[str, Any]:
    return {
        "label": event.label,
        "action": event.action,
        "stage": event.stage,
        "status": event.status,
        "key": event.key,
        "reason": event.reason,
        "causes": list(event.causes),
    }


def _since(made: Made | None) -> dict[str, int] | None:
    return None if made is None else {"build": made.build, "time": made.time}
