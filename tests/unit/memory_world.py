"""The scheduler's world in memory: sources, store and workers as dicts, stages as plain functions of bytes.

A stage takes (inputs, params) - each input bytes, {name: bytes}, or a list of those - and returns
{output: bytes | {name: bytes}}; it may raise AxError, or call `world.warn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from axbuild.engine.code.key import Key, StageCode, key_of
from axbuild.engine.records.events import ActionFinished, ActionStarted, Event, EventStream
from axbuild.engine.records.explain import Cause
from axbuild.engine.run.content import Content, File, shape_of
from axbuild.engine.run.nodes import Goal, Inputs, Lookup, Ran
from axbuild.engine.run.resources import Pool
from axbuild.engine.run.scheduler import ActionScheduler
from axbuild.errors import AxError
from axbuild.graph.actions import Action
from axbuild.store.faults import BlobLost
from axbuild.workspace.artifact import ActionId, Artifact, Output, SourceFiles
from axbuild.workspace.stage import Stage

Function = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


class NoSource(AxError):
    code = "AX900"


@dataclass(frozen=True)
class StoredResult:
    outputs: dict[str, Any]
    diagnostics: tuple[dict[str, Any], ...] = ()
    peak_memory_bytes: int = 0


class HeldLock:
    def __init__(self, held: set[str], key: str) -> None:
        self._held, self._key = held, key
        held.add(key)

    def release(self) -> None:
        self._held.discard(self._key)


class MemoryWorld:
    def __init__(self) -> None:
        self.sources: dict[str, bytes] = {}
        self.functions: dict[str, Function] = {}
        self.code: dict[str, str] = {}
        self.blobs: dict[str, bytes] = {}
        self.results: dict[str, StoredResult] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.maps: dict[str, Mapping[str, str]] = {}
        self.lasts: dict[ActionId, str] = {}
        self.held: set[str] = set()
        self.started: list[ActionId] = []
        self.most_at_once = 0
        self.while_waiting: Callable[[], None] = lambda: None
        self._running: list[tuple[Action, Key, Inputs]] = []
        self._warnings: list[dict[str, str]] = []

    # -- what tests say

    def stage(self, ref: str, function: Function, **settings: Any) -> Stage:
        self.functions[ref] = function
        return Stage(ref, **settings)

    def warn(self, code: str, sentence: str) -> None:
        self._warnings.append({"code": code, "sentence": sentence})

    # -- World

    def digest_of(self, path: str) -> str:
        if path not in self.sources:
            raise NoSource(f"no file {path}")
        return digest(self.sources[path])

    def key(self, action: Action, inputs: Inputs) -> Key:
        shapes = {
            role: [shape_of(item) for item in content] if isinstance(content, list) else shape_of(content)
            for role, content in inputs.items()
        }
        code = StageCode({action.stage.module: self.code.get(action.stage.module, "0")}, {})
        self.maps[code.digest] = code.modules
        return key_of(action.stage.ref, code, action.params, shapes, "here" if action.stage.float else None)

    def find(self, key: str, stage: Stage) -> Lookup:
        result = self.results.get(key)
        if result is None:
            return Lookup(None)
        for name, shape in result.outputs.items():
            for item in [shape] if isinstance(shape, str) else shape.values():
                if item not in self.blobs:
                    return Lookup(None, (Cause("blob", name, item, "missing"),))
        return Lookup(result)

    def last(self, id_: ActionId) -> str:
        return self.lasts.get(id_, "")

    def record_of(self, key: str) -> dict[str, Any] | None:
        return self.records.get(key)

    def code_of(self, digest: str) -> Mapping[str, str] | None:
        return self.maps.get(digest)

    def remember(self, id_: ActionId, key: str) -> None:
        self.lasts[id_] = key

    def holder(self, key: str) -> Mapping[str, Any]:
        return (
            {"label": "//other", "action": "upper", "stage": "upper", "pid": 7, "time": 0.0} if key in self.held else {}
        )

    def lock(self, key: str, action: Action) -> HeldLock | None:
        return None if key in self.held else HeldLock(self.held, key)

    def start(self, action: Action, key: Key, inputs: Inputs) -> None:
        for content in inputs.values():
            for item in content if isinstance(content, list) else [content]:
                self._bytes(item)
        self.started.append(action.id)
        self._running.append((action, key, inputs))
        self.most_at_once = max(self.most_at_once, len(self._running))

    def wait(self, timeout: float | None) -> list[Ran]:
        self.while_waiting()
        if not self._running:
            return []
        action, key, inputs = self._running.pop(0)
        self._warnings = []
        given = {
            role: [self._bytes(item) for item in content] if isinstance(content, list) else self._bytes(content)
            for role, content in inputs.items()
        }
        try:
            made = self.functions[action.stage.ref](given, action.params)
        except AxError as error:
            return [Ran(action.id, 0.5, error=error, peak_memory_bytes=7)]
        outputs = {
            name: {n: self._keep(d) for n, d in data.items()} if isinstance(data, dict) else self._keep(data)
            for name, data in made.items()
        }
        result = StoredResult(outputs, tuple(self._warnings), 7)
        self.results[key.digest], self.records[key.digest] = result, key.record
        self.remember(action.id, key.digest)
        return [Ran(action.id, 0.5, result)]

    def read(self, digest_: str) -> bytes:
        if digest_ not in self.blobs:
            raise BlobLost(digest_, "is missing")
        return self.blobs[digest_]

    def _keep(self, data: bytes) -> str:
        self.blobs[digest(data)] = data
        return digest(data)

    def _bytes(self, content: Content) -> Any:
        if isinstance(content, File):
            return self.sources[content.source] if content.source else self.read(content.digest)
        return {name: self._bytes(file) for name, file in content.items()}


class Build:
    """One build over a world that lives on: what ran, in order, and how every action ended."""

    def __init__(
        self,
        world: MemoryWorld,
        actions: list[Action],
        wanted: list[Artifact] | list[Goal],
        *,
        stages: tuple[Stage, ...] = (),
        total: dict[str, int] | None = None,
        keep_going: bool = False,
        reverse: bool = False,
    ) -> None:
        self.events: list[Event] = []
        self.scheduler = ActionScheduler(
            actions,
            {stage.ref: stage for stage in (*stages, *(action.stage for action in actions))},
            world,
            EventStream(self.events.append),
            Pool(total or {"cpu": 2}),
            keep_going=keep_going,
            reverse=reverse,
        )
        goals = [item if isinstance(item, Goal) else Goal(f"goal{i}", (item,)) for i, item in enumerate(wanted)]
        self.scheduler.want(goals)
        self.scheduler.run()

    @property
    def finished(self) -> list[ActionFinished]:
        return [event for event in self.events if isinstance(event, ActionFinished)]

    @property
    def status(self) -> dict[str, str]:
        return {event.action: event.status for event in self.finished}

    @property
    def executed(self) -> list[str]:
        return [event.action for event in self.finished if event.status == "executed"]

    @property
    def started(self) -> list[str]:
        return [event.action for event in self.events if isinstance(event, ActionStarted)]

    @property
    def reasons(self) -> dict[str, str]:
        return {event.action: event.reason for event in self.finished}


def action(name: str, stage: Stage, *, preflight: bool = False, params: dict[str, Any] | None = None, **inputs: Any):
    return Action(("//t", name), stage, params or {}, inputs, preflight)


def out(name: str, output: str = "out") -> Output:
    return Output(("//t", name), output)


def source(path: str) -> SourceFiles:
    return SourceFiles(((path.rpartition("/")[2], path),))
