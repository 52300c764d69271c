"""Says what a build waits for: a lock that another build holds, or an action that takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from axbuild.engine.records.events import EventStream, Heartbeat, LockAwaited
from axbuild.workspace.artifact import ActionId

FIRST_SECONDS = 1.0
AGAIN_SECONDS = 30.0


class Patience:
    """clock: seconds, of which only differences count."""

    def __init__(self, stream: EventStream, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._locked: dict[ActionId, tuple[float, float]] = {}
        self._heard = clock()

    def locked(self, id_: ActionId, stage: str, holder: Callable[[], Mapping[str, Any]]) -> None:
        """The action waits for a lock, of which `holder` tells who has it; said after a second, then now and then."""
        now = self._clock()
        since, due = self._locked.setdefault(id_, (now, now + FIRST_SECONDS))
        if now >= due:
            self._locked[id_] = since, now + AGAIN_SECONDS
            self._stream.emit(LockAwaited(*id_, stage, round(now - since, 3), dict(holder()), self._stream.now()))

    def unlocked(self, id_: ActionId) -> None:
        self._locked.pop(id_, None)

    def waited(self, something: bool) -> None:
        """After each wait for workers: `something` came, or else it may be time for a sign of life."""
        now = self._clock()
        if not something and now - self._heard >= AGAIN_SECONDS:
            self._stream.emit(Heartbeat(self._stream.now()))
            something = True
        if something:
            self._heard = now
