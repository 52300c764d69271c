"""The process that imports the heavy modules once and forks for each action.

Started as a script (see `workers`), with the number of its socket; it talks JSON, one object a line. It has one
thread, no session and no accelerator, so that a fork is a clean copy. First line in: {"workspace", "store", "jobs"}.
Then {"closure": {...}, "n"} makes code known, {"job": {...}} asks for an action, {"cancel": id} takes it back.
Out: {"started": id, "pid"}, {"told": id, "progress"} and {"done": id, ...}. When the socket closes, every child is
killed, and it ends.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: its own package is beside it, and nowhere else
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from axbuild.engine.workers import child
from axbuild.engine.workers.guard import Walls
from axbuild.engine.workers.preload import FileChanged, Preload, View
from axbuild.engine.workers.progress import EVERY_SECONDS, told_in

LOG_TAIL_BYTES = 16384
_RECEIVE_BYTES = 1 << 16
_LOOK_SECONDS = 0.02
"""how often a stage's memory is looked at, where it is bounded"""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Child:
    job: dict[str, Any]
    pid: int
    handle: int
    report: int
    log: int
    began: float
    deadline: float | None
    ending: str = ""
    told: Any = None


class Zygote:
    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self._number = channel.fileno()
        self.code = Preload()
        self.jobs = 1
        self.waiting: deque[dict[str, Any]] = deque()
        self.children: dict[int, Child] = {}
        self._in = b""
        self._out = bytearray()
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._open = True
        self._is_full = False
        self._looked = 0.0

    def serve(self) -> None:
        self.channel.setblocking(False)
        while self._open:
            for handle, _ in self._poll.poll(self._patience()):
                if handle == self._number:
                    self._receive()
                else:
                    self._reap(self.children[handle])
            self._stop_beyond_bounds()
            self._look_how_far()
            while self._open and self.waiting and len(self.children) < self.jobs:
                self._start(self.waiting.popleft())
            self._send()
        for one in self.children.values():
            _kill(one)

    def _patience(self) -> float | None:
        """Milliseconds until somebody may have to be stopped, or has more to tell."""
        running = [one for one in self.children.values() if not one.ending]
        waits = [one.deadline - time.monotonic() for one in running if one.deadline is not None]
        waits += [_LOOK_SECONDS for one in running if one.job["memory_bytes"] is not None]
        waits += [self._looked + EVERY_SECONDS - time.monotonic()] if running else []
        return max(0.0, min(waits)) * 1000 + 1 if waits else None

    def _receive(self) -> None:
        try:
            data = self.channel.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._open = False
            return
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, message: dict[str, Any]) -> None:
        if "job" in message:
            self.waiting.append(message["job"])
        elif "closure" in message:
            self.code.closures[message["n"]] = message["closure"]
        elif "cancel" in message:
            self._cancel(message["cancel"])
        else:
            self.jobs = message["jobs"]
            self.code.forbidden = (message["workspace"], message["store"])

    def _cancel(self, name: str) -> None:
        for job in [job for job in self.waiting if job["id"] == name]:
            self.waiting.remove(job)
            self._tell(done=name, ending="cancelled")
        for one in self.children.values():
            if one.job["id"] == name:
                one.ending = "cancelled"
                _kill(one)

    def _start(self, job: dict[str, Any]) -> None:
        try:
            view = self._view(job["n"])
        except FileChanged as changed:
            self._tell(done=job["id"], ending="changed", path=str(changed))
            return
        except SyntaxError as error:
            self._tell(done=job["id"], ending="syntax", path=str(error.filename))
            return
        try:
            one = self._fork(job, view)
        except OSError as error:  # no memory, process or descriptor left: this action fails, not those that run
            self._tell(done=job["id"], ending="unstarted", path=str(error))
            return
        self.children[one.handle] = one
        self._poll.register(one.handle, select.POLLIN)
        self._tell(started=job["id"], pid=one.pid)

    def _view(self, number: int) -> View:
        if not self.code.is_ready(number):
            self.code.load(number)
            child.settle()
            gc.freeze()  # so that no collection in a fork writes to, and thereby copies, what is here
        return self.code.view(number)

    def _fork(self, job: dict[str, Any], view: View) -> Child:
        """The child that runs the job; raises OSError and leaves nothing behind then."""
        began, parent, limit = time.monotonic(), os.getpid(), job["seconds"]
        walls = Walls(job["scratch"], view.readable, processes=job["call"] is not None)
        files: list[int] = []
        pid = -1
        try:
            files += [os.memfd_create("report")]
            files += [os.memfd_create("log")]
            report, log = files
            pid = os.fork()
            if pid == 0:
                try:
                    self._be_child(job, view, walls, report, log, parent)
                finally:
                    os._exit(1)
            handle = os.pidfd_open(pid)
        except OSError:
            if pid > 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            for file in files:
                os.close(file)
            raise
        return Child(job, pid, handle, report, log, began, None if limit is None else began + limit)

    def _be_child(self, job: dict[str, Any], view: View, walls: Walls, report: int, log: int, parent: int) -> None:
        os.close(self._number)  # the socket's own way takes 20 page faults
        child.become_worker(log, parent)
        self.code.enter(view)
        own = os.getpid()
        said = child.run(job, view, self.code.finder, walls, report)
        if os.getpid() == own:  # a copy that the stage's native code forked has nothing to report
            child.write_report(report, said)
        os._exit(0)

    def _reap(self, one: Child) -> None:
        # Whatever it started goes first: until it is waited for, its group's number is nobody else's.
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        _, status, usage = os.wait4(one.pid, 0)
        self._poll.unregister(one.handle)
        del self.children[one.handle]
        os.close(one.handle)
        report = _read_whole(one.report, 0)
        self._tell(
            done=one.job["id"],
            ending=one.ending,
            pid=one.pid,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            exit=os.waitstatus_to_exitcode(status),
            report=_parsed(report) if status == 0 else None,
            elapsed=time.monotonic() - one.began,
            peak_memory_bytes=usage.ru_maxrss * 1024,
            log=_read_whole(one.log, LOG_TAIL_BYTES).decode("utf-8", "replace"),
        )

    def _stop_beyond_bounds(self) -> None:
        now = time.monotonic()
        for one in [one for one in self.children.values() if not one.ending]:
            most = one.job["memory_bytes"]
            if one.deadline is not None and one.deadline <= now:
                one.ending = "timeout"
            elif most is not None and _memory_of(one.pid) > most:
                one.ending = "memory"
            if one.ending:
                _kill(one)

    def _look_how_far(self) -> None:
        now = time.monotonic()
        if now < self._looked + EVERY_SECONDS:
            return
        self._looked = now
        for one in self.children.values():
            told = told_in(one.report)
            if told is not None and told != one.told:
                one.told = told
                self._tell(told=one.job["id"], progress=told)

    def _tell(self, **message: Any) -> None:
        self._out += json.dumps(message).encode() + b"\n"

    def _send(self) -> None:
        try:
            while self._out:
                del self._out[: self.channel.send(self._out)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._open = False
            return
        if self._is_full != bool(self._out):
            self._is_full = bool(self._out)
            self._poll.modify(self.channel, select.POLLIN | select.POLLOUT if self._is_full else select.POLLIN)


def _parsed(report: bytes) -> Any:
    """None where a stage's native code wrote into it, which must not end the process of all others, or where it ended
    with no more than a word of how far it was."""
    try:
        found = json.loads(report)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _kill(one: Child) -> None:
    # The child makes its own group first thing; until then its pid alone is right.
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(one.pid, signal.SIGKILL)


def _memory_of(pid: int) -> int:
    """Bytes of a process in memory; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _read_whole(file: int, tail: int) -> bytes:
    """What a child wrote, or the last `tail` bytes of it; closes the file."""
    size = os.fstat(file).st_size
    start = max(0, size - tail) if tail else 0
    data = os.pread(file, size - start, start)
    os.close(file)
    return data


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by a parent, it would leave no child to wait for
    sys.path.pop(0)
    zygote = Zygote(channel)
    for name in [name for name in sys.modules if name.partition(".")[0] == "axbuild"]:
        del sys.modules[name]
    sys.meta_path[:] = [zygote.code.finder]
    gc.disable()
    child.make_ready()
    zygote.serve()
    os._exit(0)  # whoever closed the channel waits for our end, and nothing is left to be written


if __name__ == "__main__":
    main()
