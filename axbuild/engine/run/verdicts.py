"""Judges the checks of a build, each as soon as its verdict is there, and says so in the event stream."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from axbuild.engine.records.events import ActionFinished, Event, EventStream, TestResult
from axbuild.engine.run.content import File
from axbuild.engine.run.scheduler import ActionScheduler
from axbuild.errors import AxError
from axbuild.graph.actions import TargetActions
from axbuild.workspace.artifact import ActionId, Artifact, Output


class BadVerdict(AxError):
    code = "AX508"

    def __init__(self, label: str, what: str) -> None:
        super().__init__(f"{label}: its verdict cannot be judged: {what}")


class Verdicts:
    """A listener. `actions`: how each action ended so far; `read`: the bytes of a file, raises BlobLost."""

    def __init__(
        self,
        targets: Iterable[TargetActions],
        scheduler: ActionScheduler,
        actions: Mapping[ActionId, ActionFinished],
        read: Callable[[File], bytes],
        stream: EventStream,
    ) -> None:
        self._scheduler, self._actions, self._read, self._stream = scheduler, actions, read, stream
        self._makers: defaultdict[ActionId, list[TargetActions]] = defaultdict(list)
        self._judged: set[str] = set()
        self.failed = False
        for target in targets:
            for artifact in target.verdicts:
                if isinstance(artifact, Output):
                    self._makers[artifact.action].append(target)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ActionFinished) and event.status not in ("failed", "skipped"):
            for target in self._makers.get((event.label, event.action), ()):
                # What is wrong with it now is dealt with, and told, when the target is handed over.
                with suppress(AxError):
                    self.judge(target)

    def judge(self, target: TargetActions) -> None:
        """Tell the target's verdicts, once. Raises BadVerdict, and BlobLost where its bytes are gone."""
        contents = self._scheduler.contents
        pending = any(True for artifact in target.verdicts for _ in contents.pending(artifact))
        if pending or target.label in self._judged:
            return
        results = [self._result(target.label, artifact) for artifact in target.verdicts]
        self._judged.add(target.label)
        for result in results:
            self._stream.emit(result)
            self.failed = self.failed or not result.passed

    def leave(self, target: TargetActions) -> None:
        """A check that comes to no verdict is told as one that has not passed, with what kept it from it."""
        if target.verdicts and target.label not in self._judged:
            needed = self._scheduler.needed((*target.outputs.values(), *target.verdicts))
            failed = sorted(id_ for id_ in needed if self._status(id_) == "failed")
            why = f"needs {' '.join(failed[0])}, which failed" if failed else "the build ended before"
            self._stream.emit(TestResult(target.label, False, why, built=False))

    def _result(self, label: str, artifact: Artifact) -> TestResult:
        content = self._scheduler.contents.content(artifact)
        if not isinstance(content, File):
            raise BadVerdict(label, "it is a folder")
        data = self._read(content)
        try:
            verdict = json.loads(data)
            passed, sentence = bool(verdict["passed"]), str(verdict["sentence"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadVerdict(label, f"{type(error).__name__}: {error}") from None
        ids = self._scheduler.ran_for(artifact)
        ran = [self._actions[id_].seconds for id_ in ids if self._status(id_) == "executed"]
        return TestResult(label, passed, sentence, verdict, cached=not ran, seconds=round(sum(ran, 0.0), 6))

    def _status(self, id_: ActionId) -> str:
        return self._actions[id_].status if id_ in self._actions else ""
