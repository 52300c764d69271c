"""`axbuild why`"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from axbuild.cli.common import config_option, json_option, targets
from axbuild.engine.build import Request, build
from axbuild.engine.events import WOULD_RUN, ActionFinished, Event
from axbuild.engine.explain import Cause, sentence
from axbuild.engine.history import History
from axbuild.engine.why import Reason, Why, why
from axbuild.graph.targets import load
from axbuild.report.style import Style
from axbuild.workspace.workspace import Workspace

_SAID = {"executed": "ran", "cached": "from the cache", "up_to_date": "valid", "failed": "failed", "skipped": "skipped"}


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
    if as_json:
        print(json.dumps(_record(found, pending)))
    else:
        _print(found, pending)
    return 0


def _pending(patterns: tuple[str, ...], start: Path, config: tuple[str, ...]) -> list[ActionFinished]:
    events: list[Event] = []
    build(Request("why", patterns, start, config=config, dry_run=True), events.append)
    return [event for event in events if isinstance(event, ActionFinished) and event.status in ("skipped", "failed")]


def _print(found: Why, pending: list[ActionFinished]) -> None:
    style = Style(sys.stdout)
    print(f"last built {_clock(found.time)} by {style('bold', found.command)}")
    rows = [(f"{reason.event.label} {reason.event.action}", reason) for reason in found.reasons]
    width = min(60, max((len(name) for name, _ in rows), default=0))
    for name, reason in rows:
        first, *rest = _told(reason, found.oldest)
        word = _SAID[reason.event.status]
        colour = {"executed": "cyan", "failed": "red"}.get(reason.event.status, "dim")
        print(f"  {name:<{width}}  {style(colour, f'{word:<14}')}  {first}".rstrip())
        for line in rest:
            print(f"  {'':<{width}}  {'':<14}  {line}")
    would = [event for event in pending if event.status == "failed" or event.reason.startswith(WOULD_RUN)]
    if would:
        print("edited since then; a build now would run")
        for event in would:
            text = "; ".join(_causes(event)) if event.status == "skipped" else event.reason
            print(f"  {f'{event.label} {event.action}':<{width}}  {text}")
        if len(pending) > len(would):
            print(f"  and at most {len(pending) - len(would)} more, as far as their inputs come out changed")


def _told(reason: Reason, oldest: float) -> list[str]:
    event = reason.event
    if event.status == "up_to_date":
        return [f"since {_clock(reason.since)}" if reason.since else f"since before {_clock(oldest)}"]
    if event.status in ("executed", "cached"):
        return _causes(event) or [""]
    return [event.reason]


def _causes(event: ActionFinished) -> list[str]:
    return [sentence(Cause(**cause)) for cause in event.causes]


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _record(found: Why, pending: list[ActionFinished]) -> dict[str, Any]:
    return {
        "build": found.record.id,
        "time": found.time,
        "command": found.command,
        "actions": [_action(reason.event) | {"valid_since": reason.since} for reason in found.reasons],
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
