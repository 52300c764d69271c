"""What a build with nothing to do will say, rendered once by the same code that renders every build, and kept."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any
from zlib import compress

from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.watch import Watched, keep
from axbuild.engine.records.events import (
    STATUSES,
    ActionFinished,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    Event,
    TestResult,
    to_line,
)
from axbuild.report.lines import PlainRenderer
from axbuild.report.style import duration
from axbuild.report.summary import Summary

# Stands for the seconds, which are known only then; no build takes so long.
_SECONDS = 8_618_600.0


class Replay:
    """A listener: keeps of a build what the next one, with nothing to do, would tell again."""

    def __init__(self) -> None:
        self.started: BuildStarted | None = None
        self.finished: BuildFinished | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self.started = event
            case BuildFinished():
                self.finished = event

    def events(self, graph: Mapping[str, Any]) -> list[Event]:
        """The events of the build with nothing to do: one line a requested target, not one an action."""
        start, end = self.started, self.finished
        assert start is not None
        assert end is not None
        counts = dict.fromkeys(STATUSES, 0) | {"up_to_date": len(graph["actions"])}
        began = BuildStarted(form.BUILD_ID.decode(), start.command, start.targets, _SECONDS, 0)
        said = [Diagnostic(*one) for one in graph["diagnostics"]]
        targets = [ActionFinished(label, "", "", "", "", "up_to_date", "", 0.0) for label, *_ in graph["targets"]]
        tests = [TestResult(*one) for one in graph["tests"]]
        return [began, *said, *targets, *tests, BuildFinished(0, counts, _SECONDS, end.outputs)]


def texts_of(events: list[Event], jobs: int, base: str = "") -> dict[str, bytes]:
    """Every form in which the answer may be asked for, with marks for the build's id, time, jobs and seconds."""
    found: dict[str, bytes] = {"jobs": str(jobs).encode()}
    for suffix, out in (("", io.StringIO()), (" coloured", _Terminal())):
        said = type(out)()
        renderer, summary = PlainRenderer(said), Summary(base=base)
        for event in events:
            renderer(event)
            summary(event)
        found[f"stderr{suffix}"] = said.getvalue().encode()
        text = summary.text(out)
        found[f"stdout{suffix}"] = f"{text}\n".replace(duration(_SECONDS), form.SECONDS.decode()).encode()
    found["json"] = _marked(json.dumps(summary.record()) + "\n")
    found["events"] = _marked("".join(f"{to_line(event)}\n" for event in events))
    return found


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _marked(text: str) -> bytes:
    start = text.replace(f'"time":{_SECONDS}', f'"time":{form.TIME.decode()}', 1)
    start = start.replace('"jobs":0', f'"jobs":{form.JOBS.decode()}', 1)
    return compress(start.replace(str(_SECONDS), form.SECONDS.decode()).encode(), 1)


def keep_answer(found: form.Found, replay: Replay, watched: Watched, base: str) -> None:
    """Write the snapshot of a build that has succeeded; base: as in `Summary`."""
    keep(found.file, found.identity, watched, texts_of(replay.events(watched.graph), watched.jobs, base))
