"""Where stages run: a zygote process of our own that forks for each action, spoken to over a socket pair.

The client asks and waits; it never imports a stage. If the client dies, the socket closes and everything below it
dies too; if the zygote dies, its actions fail with a clear error and the next one starts a new zygote.
"""

from __future__ import annotations

import json
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from axbuild.dataclass import dataclass, replace
from axbuild.engine.code.closure import Closure
from axbuild.engine.workers.launch import Launched
from axbuild.engine.workers.progress import Progress, progress_of
from axbuild.errors import AxError
from axbuild.workspace.stage import Stage

_RECEIVE_BYTES = 1 << 16


@dataclass(frozen=True)
class StageBounds:
    """What a stage may take before it is stopped; None is no limit. name: of the settings that say so."""

    seconds: float | None = None
    memory_bytes: int | None = None
    name: str = ""


@dataclass(frozen=True)
class StageRun:
    """One run of a stage. inputs: role -> path or paths; the outputs appear in `scratch / "out"`."""

    id: str
    stage: Stage
    closure: Closure
    params: dict[str, Any]
    inputs: Mapping[str, str | list[str]]
    scratch: Path
    bounds: StageBounds = StageBounds()
    device: str = "cpu"
    call: dict[str, Any] | None = None
    """how the tool outside axbuild is called, for a stage that runs one"""


@dataclass(frozen=True)
class StageOutcome:
    """What became of a job. error: the record of an AxError, None when ok. diagnostics: {"code", "sentence"}.

    seconds: of the stage itself. signal: what killed it, if anything did. log: the tail of what it printed.
    started: time.monotonic() when its process began, 0.0 if none did.
    """

    id: str
    ok: bool
    error: dict[str, Any] | None = None
    diagnostics: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    signal: int | None = None
    log: str = ""
    started: float = 0.0
    pid: int = 0
    died: bool = False
    """The process that all stages are forked from ended under it, perhaps by another stage's doing."""


class StageKilled(AxError):
    code = "AX551"

    def __init__(self, stage: str, name: str, seconds: float, peak_memory_bytes: int) -> None:
        super().__init__(
            f"the process of stage '{stage}' was killed by {name} after {seconds:.1f} s "
            f"with a peak of {peak_memory_bytes / 2**20:.0f} MiB of memory",
            hint="if the machine ran out of memory, build with fewer --jobs" if name == "SIGKILL" else "",
        )


class StageTimedOut(AxError):
    code = "AX552"

    def __init__(self, stage: str, bounds: StageBounds, peak_memory_bytes: int) -> None:
        super().__init__(
            f"stage '{stage}' was stopped after its limit of {bounds.seconds:g} s, "
            f"with a peak of {peak_memory_bytes / 2**20:.0f} MiB of memory",
            hint=_raise(bounds, "seconds"),
        )


class StageTooLarge(AxError):
    code = "AX552"

    def __init__(self, stage: str, bounds: StageBounds, seconds: float) -> None:
        limit = (bounds.memory_bytes or 0) / 2**30
        super().__init__(
            f"stage '{stage}' was stopped after {seconds:.1f} s at its limit of {limit:.3g} GB of memory",
            hint=_raise(bounds, "memory_gb"),
        )


def _raise(bounds: StageBounds, what: str) -> str:
    return f"raise `{bounds.name}_{what}` under [resources] in axbuild.toml" if bounds.name else ""


class StageEnded(AxError):
    code = "AX551"

    def __init__(self, stage: str, status: int, log: str) -> None:
        super().__init__(
            f"the process of stage '{stage}' ended by itself with status {status} and without a result",
            hint=log.strip().rpartition("\n")[2],
        )


class StageNotStarted(AxError):
    code = "AX556"

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"no process could be made for stage '{stage}': {reason}", hint="build with fewer --jobs")


class CodeChanged(AxError):
    code = "AX555"

    def __init__(self, stage: str, path: str) -> None:
        super().__init__(f"{path}, code of stage '{stage}', changed while the build ran", hint="build again")


class WorkerDied(AxError):
    code = "AX556"

    def __init__(self, status: int | None, said: str) -> None:
        how = "cannot be started" if status is None else "ended"
        if status is not None:
            how = f"was killed by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        super().__init__(f"the worker process {how}", hint=said.strip().rpartition("\n")[2])


class Cancelled(AxError):
    code = "AX561"

    def __init__(self, stage: str) -> None:
        super().__init__(f"stage '{stage}' was stopped because the build was")


class Workers:
    """At most `jobs` stages at once; more wait. workspace, store: what no stage may open beyond its own scratch.

    ahead: a zygote that is under way already; it is used and ended as their own. Close them, or use them as a context.
    listener: hears within `wait` how far a job is, by its id.
    """

    def __init__(self, jobs: int, *, workspace: Path, store: Path, ahead: Launched | None = None) -> None:
        self._hello = {"jobs": jobs, "workspace": str(workspace), "store": str(store)}
        self.listener: Callable[[str, Progress], None] = lambda _job, _progress: None
        self._zygote: Launched | None = None
        self._in = b""
        self._jobs: dict[str, StageRun] = {}
        self._running: dict[str, tuple[float, int]] = {}
        self._closures: dict[tuple[str, str], int] = {}
        self._done: deque[StageOutcome] = deque()
        self._suspects: deque[StageRun] = deque()
        self._held: deque[StageRun] = deque()
        if ahead is not None:
            self._greet(ahead)

    def submit(self, job: StageRun, alone: bool = False) -> None:
        """Hand a job over; its outcome comes out of `wait`. alone: no other runs beside it, so that it is known who
        ended the process they are forked from."""
        if job.id in self._jobs:
            raise ValueError(f"job {job.id!r} is already running")
        if alone:
            self._suspects.append(job)
            self._next()
        elif self._suspects:
            self._held.append(job)
        else:
            self._dispatch(job)

    def _next(self) -> None:
        """One suspect after the other, and when there is none left those that had to wait for them."""
        if self._jobs:
            return
        if self._suspects:
            self._dispatch(self._suspects[0])
        else:
            while self._held:
                self._dispatch(self._held.popleft())

    def _dispatch(self, job: StageRun) -> None:
        self._jobs[job.id] = job
        try:
            self._send({"job": self._record(job)})
        except ConnectionError:
            self._drain()

    def wait(self, timeout: float | None = None) -> list[StageOutcome]:
        """The outcomes that have come in; none after `timeout` seconds, or without one when nothing runs."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._done and self._jobs and self._zygote is not None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._zygote.channel], [], [], left)
            if not ready:
                break
            self._receive(self._zygote)
        if timeout and not self._done and not self._jobs:
            time.sleep(timeout)  # whoever names a time has something else to wait for
        done = list(self._done)
        self._done.clear()
        return done

    def cancel(self, name: str) -> None:
        """Stop a job; it still has an outcome, which says so unless it had finished."""
        if name in self._jobs and self._zygote is not None:
            self._send({"cancel": name})

    def fileno(self) -> int:
        """For select: readable when `wait(0)` has something; -1 when no worker runs."""
        return self._zygote.channel.fileno() if self._zygote is not None else -1

    def close(self) -> None:
        """Kill what still runs, and end the zygote."""
        if self._zygote is not None:
            self._zygote.end()
            self._zygote = None
        self._jobs.clear()
        self._running.clear()

    def _record(self, job: StageRun) -> dict[str, Any]:
        return {
            "id": job.id,
            "n": self._number(job),
            "module": job.closure.module,
            "function": job.stage.function,
            "params": job.params,
            "inputs": job.inputs,
            "device": job.device if job.stage.device else None,
            "call": job.call,
            "scratch": str(job.scratch),
            "outputs": job.stage.writes,
            "seconds": job.bounds.seconds,
            "memory_bytes": job.bounds.memory_bytes,
        }

    def _number(self, job: StageRun) -> int:
        """A short name for the closure, whose content crosses once."""
        identity = (job.stage.ref, job.closure.code.digest)
        if identity not in self._closures:
            number = len(self._closures)
            closure = job.closure
            self._send(
                {
                    "n": number,
                    "closure": {
                        "module": closure.module,
                        "loaded": closure.loaded,
                        "modules": closure.modules,
                        "data": closure.data,
                        "imports": [[one.module, one.names, one.tops] for one in closure.imports],
                        "tops": closure.tops,
                    },
                }
            )
            self._closures[identity] = number
        return self._closures[identity]

    def _send(self, message: dict[str, Any]) -> None:
        if self._zygote is None:
            try:
                self._greet(Launched())
            except OSError as error:
                raise WorkerDied(None, str(error)) from error
        assert self._zygote is not None
        self._zygote.channel.sendall(json.dumps(message).encode() + b"\n")

    def _greet(self, zygote: Launched) -> None:
        self._zygote, self._in = zygote, b""
        self._closures.clear()
        with suppress(ConnectionError):  # whoever sends it the first job will hear of its end
            self._send(self._hello)

    def _receive(self, zygote: Launched) -> None:
        try:
            data = zygote.channel.recv(_RECEIVE_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self._bury(zygote)
            return
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _drain(self) -> None:
        """Hear what a zygote that no longer listens said before its end."""
        while self._zygote is not None:
            self._receive(self._zygote)

    def _hear(self, message: dict[str, Any]) -> None:
        if "started" in message:
            self._running[message["started"]] = (time.monotonic(), message["pid"])
            return
        if "told" in message:
            if progress := progress_of(message["progress"]):
                self.listener(message["told"], progress)
            return
        job = self._jobs.pop(message["done"])
        started, pid = self._running.pop(job.id, (0.0, 0))
        self._done.append(replace(_outcome(job, message), started=started, pid=pid))
        self._cleared([job])

    def _bury(self, zygote: Launched) -> None:
        """The zygote is gone, and its children with it: every job it had has failed."""
        self._zygote = None
        status = zygote.end()
        error = WorkerDied(status, zygote.last_words())
        left = list(self._jobs.values())
        for job in left:
            number = -status if status < 0 else None
            self._done.append(StageOutcome(job.id, False, error.record(), signal=number, died=True))
        self._jobs.clear()
        self._running.clear()
        self._closures.clear()  # the next one knows none of them
        self._cleared(left)

    def _cleared(self, jobs: Iterable[StageRun]) -> None:
        if self._suspects and self._suspects[0] in jobs:
            self._suspects.popleft()
        if self._suspects or self._held:
            self._next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _outcome(job: StageRun, message: dict[str, Any]) -> StageOutcome:
    name = job.stage.function
    if message["ending"] in ("changed", "syntax"):
        return StageOutcome(job.id, False, CodeChanged(name, message["path"]).record())
    if message["ending"] == "unstarted":
        return StageOutcome(job.id, False, StageNotStarted(name, message["path"]).record())
    if "pid" not in message:
        return StageOutcome(job.id, False, Cancelled(name).record())
    report, peak, elapsed = message["report"], message["peak_memory_bytes"], message["elapsed"]
    outcome = StageOutcome(
        job.id, False, peak_memory_bytes=peak, signal=message["signal"], log=message["log"], seconds=elapsed
    )
    if report is not None:
        return replace(
            outcome,
            ok=report["error"] is None,
            error=report["error"],
            diagnostics=tuple(report["diagnostics"]),
            seconds=report["seconds"],
        )
    if message["ending"] == "timeout":
        error: AxError = StageTimedOut(name, job.bounds, peak)
    elif message["ending"] == "memory":
        error = StageTooLarge(name, job.bounds, elapsed)
    elif message["ending"] == "cancelled":
        error = Cancelled(name)
    elif outcome.signal is not None:
        error = StageKilled(name, _signal_name(outcome.signal), elapsed, peak)
    else:
        error = StageEnded(name, message["exit"], outcome.log)
    return replace(outcome, error=error.record())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
