"""What a build with nothing to do will say, rendered once by the same code that renders every build, and kept."""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from pathlib import Path
from zlib import compress

from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.keep import keep, prune, write
from axbuild.engine.noop.merge import Merged
from axbuild.engine.noop.stored import StoredGraph
from axbuild.engine.noop.watch import Watched
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
from axbuild.version import __version__

# Stands for the seconds, which are known only then; no build takes so long.
_SECONDS = 8_618_600.0


def texts_for_people(words: form.Words, graph: StoredGraph, base: str) -> dict[str, bytes]:
    """What a terminal and a pipe are shown, with a mark for the seconds. paths: by the numbers of the graph. base: as
    in `Summary`."""
    texts: dict[str, bytes] = {}
    events = _events(words, graph)
    for suffix, out in (("", io.StringIO()), (" coloured", _Terminal())):
        said = type(out)()
        renderer, summary = PlainRenderer(said), Summary(base=base)
        for event in events:
            renderer(event)
            summary(event)
        texts[f"stderr{suffix}"] = said.getvalue().encode()
        text = summary.text(out)
        texts[f"stdout{suffix}"] = f"{text}\n".replace(duration(_SECONDS), form.SECONDS.decode()).encode()
    return texts


def add_texts_for_programs(found: form.Found) -> None:
    """`--json` and `--events` as they will be answered: long, seldom asked for, and so made when they first are."""
    snapshot = found.snapshot
    assert snapshot is not None
    graph = StoredGraph.read(found.file, snapshot.graph)
    started, *said, finished = _events(found.words, graph)
    # One line a requested target, not one an action.
    targets = [ActionFinished(label, "", "", "", "", "up_to_date", "", 0.0) for label in graph.answer.outputs]
    events = [started, *said, *targets, finished]
    summary = Summary()
    for event in events:
        summary(event)
    snapshot.texts["json"] = _marked(json.dumps(summary.record()) + "\n")
    snapshot.texts["events"] = _marked("".join(f"{to_line(event)}\n" for event in events))
    write(found.file, snapshot)


def _events(words: form.Words, graph: StoredGraph) -> list[Event]:
    """The events of the build with nothing to do, less those of its targets; marks for id, time, jobs and seconds."""
    counts = dict.fromkeys(STATUSES, 0) | {"up_to_date": graph.count}
    return [
        BuildStarted(form.BUILD_ID.decode(), words.verb, tuple(words.targets), _SECONDS, 0, release=__version__),
        *(Diagnostic(*one) for one in graph.answer.diagnostics),
        *(TestResult(*one) for one in graph.answer.tests),
        BuildFinished(0, counts, _SECONDS, graph.answer.outputs),
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _marked(text: str) -> bytes:
    start = text.replace(f'"time":{_SECONDS}', f'"time":{form.TIME.decode()}', 1)
    start = start.replace('"jobs":0', f'"jobs":{form.JOBS.decode()}', 1)
    return compress(start.replace(str(_SECONDS), form.SECONDS.decode()).encode(), 1)


def keep_answer(found: form.Found, watched: Watched, base: str) -> None:
    """Write the snapshot of a build that has succeeded."""
    graph = StoredGraph.made(watched.labels, watched.answer)
    texts = texts_for_people(found.words, graph, base)
    keys = watched.state / "snapshots" / f"{found.identity}.keys"
    snapshot = watched.snapshot(texts | {"jobs": str(watched.jobs).encode(), "keys": os.fsencode(keys)})
    if keep(found.file, snapshot, graph):
        prune(Path(found.file).parent, keys.parent)


def keep_merged(found: form.Found, merged: Merged, base: str) -> None:
    """Bring a snapshot up to date after a build of a part of what it covers."""
    snapshot = merged.snapshot
    if merged.retold:
        kept = {name: snapshot.texts[name] for name in ("keys", "jobs")}
        snapshot.texts = kept | texts_for_people(found.words, merged.graph, base)
    keep(found.file, snapshot, merged.graph)


def drop(found: form.Found) -> None:
    """A build succeeded, and what its answer rests on cannot be told: the old answer is none."""
    with suppress(OSError):
        Path(found.file).unlink()
