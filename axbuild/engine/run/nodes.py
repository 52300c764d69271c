"""What the scheduler knows of an action, and what it asks of the world outside (store, workers, sources).

All reading, writing and running stands behind `World`, so that the scheduler's own tests need no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from axbuild.dataclass import dataclass, field
from axbuild.engine.code.key import Key, Shape
from axbuild.engine.records.explain import Cause
from axbuild.engine.run.content import Content
from axbuild.errors import AxError
from axbuild.graph.actions import Action
from axbuild.workspace.artifact import ActionId, Artifact
from axbuild.workspace.stage import Stage

Inputs = dict[str, Content | list[Content]]


class State(Enum):
    WAITING = "for inputs"
    QUEUED = "must run"
    RUNNING = "runs"
    DONE = "done"
    FAILED = "failed"


class StoredResult(Protocol):
    """The stored result of an action (`store.results.ActionResult`)."""

    @property
    def outputs(self) -> Mapping[str, Shape]: ...

    @property
    def diagnostics(self) -> tuple[dict[str, Any], ...]: ...

    @property
    def peak_memory_bytes(self) -> int: ...


@dataclass(frozen=True)
class Lookup:
    """What the store holds for a key: a whole result; or none, and the outputs it had whose blobs are missing."""

    result: StoredResult | None
    lost: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Ran:
    """An action that has left its worker: its stored result, or the error."""

    id: ActionId
    seconds: float
    result: StoredResult | None = None
    error: AxError | None = None
    peak_memory_bytes: int = 0


class Lock(Protocol):
    def release(self) -> None: ...


class World(Protocol):
    def digest_of(self, path: str) -> str:
        """SHA-256 of a source, by its path relative to the workspace; raises AxError when it cannot be read."""
        ...

    def key(self, action: Action, inputs: Inputs) -> Key: ...

    def find(self, key: str, stage: Stage) -> Lookup:
        """What is stored for a key; a result with other outputs than its stage declares is none."""
        ...

    def last(self, id_: ActionId) -> str:
        """The key this action last had here, "" if it was never built."""
        ...

    def record_of(self, key: str) -> dict[str, Any] | None:
        """The key record stored with a result, kept past its blobs."""
        ...

    def code_of(self, digest: str) -> Mapping[str, str] | None:
        """The map of code (module or data file -> SHA-256) behind a digest in a key record, if it is known."""
        ...

    def remember(self, id_: ActionId, key: str) -> None:
        """The action, which did not run, has the result of this key from now on."""
        ...

    def lock(self, key: str, action: Action) -> Lock | None:
        """The lock on a key for an action, or None while another build runs it."""
        ...

    def holder(self, key: str) -> Mapping[str, Any]:
        """Who has the lock on a key: see `LockAwaited.holder`."""
        ...

    def start(self, action: Action, key: Key, inputs: Inputs) -> None:
        """Hand an action to a worker; raises BlobLost when an input is not there any more."""
        ...

    def wait(self, timeout: float | None) -> list[Ran]:
        """Actions that have finished, with their results stored and remembered; empty when time is up."""
        ...

    def read(self, digest: str) -> bytes:
        """A blob; raises BlobLost."""
        ...


@dataclass
class Node:
    action: Action
    state: State = State.WAITING
    key: Key | None = None
    inputs: Inputs = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    distrust: tuple[Cause, ...] = ()
    """Why a stored result of this key is not to be believed: a blob of it was found damaged."""
    revived: int = 0
    need: dict[str, int] = field(default_factory=dict)
    lock: Lock | None = None
    dropped: bool = False
    """No longer wanted, since what wanted it cannot be built."""


@dataclass(frozen=True)
class Completed:
    """outputs as stored; result: what an expansion's names stand for, empty for other actions."""

    outputs: Mapping[str, Shape]
    result: Mapping[str, Artifact]


@dataclass(frozen=True)
class Goal:
    """What a requested target wants: artifacts, whole actions, and first of all the preflights of its closure."""

    label: str
    artifacts: tuple[Artifact, ...]
    actions: tuple[ActionId, ...] = ()
    preflights: tuple[ActionId, ...] = ()
