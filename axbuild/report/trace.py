"""A build as a trace that chrome://tracing and https://ui.perfetto.dev load: a lane a worker, a bar an action.

The format is Chrome's trace events (JSON object form); times are in microseconds since the build began.
"""

from __future__ import annotations

import json
import time
from typing import Any

from axbuild.engine.records.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    BuildStarted,
    Event,
    TargetConfigured,
)
from axbuild.workspace.artifact import ActionId

_PROCESS = 1
_CLIENT, _CRITICAL, _FIRST_WORKER = 1, 2, 3
"""lanes: the client itself, the critical path, and from then on the workers"""


class Trace:
    """A listener; `text` is the whole file once the build has finished.

    Every action has a process of its own; a lane is the slot it ran in, the lowest that was free.
    """

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._about: dict[str, Any] = {}
        self._running: dict[ActionId, tuple[int, float]] = {}
        self._bars: dict[ActionId, dict[str, Any]] = {}
        self._lanes = 0
        self._began = time.perf_counter()
        self._laid_out: float | None = None
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self._began = time.perf_counter()
                words = " ".join((event.command, *event.targets))
                self._about = {"command": f"axbuild {words}", "build": event.number, "jobs": event.jobs}
            case TargetConfigured():
                self._laid_out = time.perf_counter() - self._began
            case ActionStarted():
                self._started(event)
            case ActionFinished():
                self._finished(event)
            case BuildFinished():
                self._ended(event)

    def text(self) -> str:
        names = {_CLIENT: "axbuild", _CRITICAL: "critical path"}
        names |= {_FIRST_WORKER + lane: f"worker {lane + 1}" for lane in range(self._lanes)}
        head = [self._meta("process_name", 0, name=self._about.get("command", "axbuild"))]
        for lane, name in names.items():
            head += [self._meta("thread_name", lane, name=name), self._meta("thread_sort_index", lane, sort_index=lane)]
        record = {"traceEvents": [*head, *self._events], "displayTimeUnit": "ms", "otherData": self._about}
        return json.dumps(record, separators=(",", ":")) + "\n"

    def _started(self, event: ActionStarted) -> None:
        taken = {lane for lane, _ in self._running.values()}
        lane = next(lane for lane in range(len(taken) + 1) if lane not in taken)
        self._lanes = max(self._lanes, lane + 1)
        self._running[event.label, event.action] = lane, event.at
        self._count(event.at)

    def _finished(self, event: ActionFinished) -> None:
        self._last = max(self._last, event.at)
        id_ = event.label, event.action
        if id_ not in self._running:
            return
        lane, began = self._running.pop(id_)
        args = {
            "label": event.label,
            "stage": event.stage_id,
            "key": event.key,
            "status": event.status,
            "reason": event.reason,
            "seconds_in_stage": event.seconds,
            "peak_memory_mib": round(event.peak_memory_bytes / 2**20, 1),
        }
        self._bars[id_] = self._bar(event.action, event.stage, _FIRST_WORKER + lane, began, event.at, args)
        self._count(event.at)

    def _ended(self, event: BuildFinished) -> None:
        if self._laid_out is not None:
            self._bar("load and lay out", "client", _CLIENT, 0.0, self._laid_out, {})
        if event.seconds > self._last > 0:
            self._bar("outputs and verdicts", "client", _CLIENT, self._last, event.seconds, {})
        for link in event.critical_path:
            bar = self._bars.get((link["label"], link["action"]))
            if bar is not None:
                bar["args"]["critical_path"] = True
                self._events.append({**bar, "tid": _CRITICAL})
        self._about |= {"exit_code": event.exit_code, "seconds": event.seconds, "counts": event.counts}
        self._about["critical_path_seconds"] = round(sum(link["seconds"] for link in event.critical_path), 3)

    def _bar(
        self, name: str, category: str, lane: int, begin: float, end: float, args: dict[str, Any]
    ) -> dict[str, Any]:
        bar = {
            "name": name,
            "cat": category,
            "ph": "X",
            "pid": _PROCESS,
            "tid": lane,
            "ts": round(begin * 1e6),
            "dur": max(1, round((end - begin) * 1e6)),
            "args": args,
        }
        self._events.append(bar)
        return bar

    def _count(self, at: float) -> None:
        args = {"actions": len(self._running)}
        self._events.append({"name": "running", "ph": "C", "pid": _PROCESS, "ts": round(at * 1e6), "args": args})

    def _meta(self, what: str, lane: int, **args: Any) -> dict[str, Any]:
        return {"name": what, "ph": "M", "pid": _PROCESS, "tid": lane, "args": args}
