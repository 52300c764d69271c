"""The process that imports the heavy modules once and forks for each action.

Started as a script (see `workers`), with the number of its socket; it talks JSON, one object a line. It has one
thread, no session and no accelerator, so that a fork is a clean copy. First line in: {"workspace", "store", "jobs"}.
Then {"closure": {...}, "n"} makes code known, {"job": {...}} asks for an action, {"cancel": id} takes it back.
Out: {"started": id, "pid"} and {"done": id, ...}. When the socket closes, every child is killed, and it ends.
"""

from __future__ import annotations

import gc
import importlib
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
from hashlib import sha256
from pathlib import Path
from types import CodeType
from typing import Any

if __name__ == "__main__":  # run as a script: its own package is beside it, and nowhere else
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from axbuild.engine import child
from axbuild.engine.guard import FIRST_PARTY, Finder, hide, own_file, show

LOG_TAIL_BYTES = 16384
_RECEIVE_BYTES = 1 << 16


class CodeChanged(Exception):
    """A file of a stage's code or data is no longer what the action's key says."""


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


class Codes:
    """First-party modules: verified, compiled once, and loaded so that a fork starts with them."""

    def __init__(self) -> None:
        self.closures: dict[int, dict[str, Any]] = {}
        self.finder = Finder()
        self._compiled: dict[tuple[str, str], CodeType] = {}
        self._data: dict[str, tuple[list[int], str]] = {}
        self._loaded: dict[str, str] = {}
        self._ready: set[int] = set()
        self._preloaded: set[tuple[str, tuple[str, ...]]] = set()

    def ready(self, number: int) -> dict[str, Any]:
        """The closure, its code compiled and what it imports loaded; raises CodeChanged."""
        closure = self.closures[number]
        for path, digest in closure["data"].values():
            self._verify_data(path, digest)
        if number not in self._ready:
            self._preload(closure)
            self._load(closure)
            gc.freeze()
            self._ready.add(number)
        return closure

    def enter(self, closure: dict[str, Any]) -> None:
        """In the child: leave nothing in sight but the closure's own modules and tools."""
        self.finder.code = self._code_of(closure)
        self.finder.tops = frozenset(closure["tops"])
        self.finder.refused.clear()
        hide(self._strangers(closure))

    def _strangers(self, closure: dict[str, Any]) -> list[str]:
        tops, modules = self.finder.tops, closure["modules"]
        known = {top for one in self.closures.values() for top in one["tops"]}
        packages = {name[:at] for name in modules for at, letter in enumerate(name) if letter == "."}
        return [
            name
            for name in sys.modules
            if ((top := name.partition(".")[0]) in FIRST_PARTY and name not in modules and name not in packages)
            or (top in known and top not in tops)
        ]

    def _preload(self, closure: dict[str, Any]) -> None:
        """Import third-party modules, each seeing only what its own distribution requires: order changes nothing."""
        for module, names, tops in closure["imports"]:
            if (module, tuple(names)) in self._preloaded:
                continue
            self.finder.tops = frozenset(tops)
            known = {top for one in self.closures.values() for top in one["tops"]} - self.finder.tops
            hidden = hide([name for name in sys.modules if name.partition(".")[0] in known])
            # A module that cannot be imported fails in the stage that needs it, where the error can be told.
            with suppress(Exception):
                loaded = importlib.import_module(module)
                for name in names:
                    if not hasattr(loaded, name):
                        importlib.import_module(f"{module}.{name}")
            show(hidden)
            self._preloaded.add((module, tuple(names)))

    def _load(self, closure: dict[str, Any]) -> None:
        """Import axbuild's own stage; a workspace's code runs in children only."""
        code = self._code_of(closure)
        if any(self._loaded.get(name, digest) != digest for name, (_, digest) in closure["modules"].items()):
            hide([name for name in sys.modules if name.partition(".")[0] in FIRST_PARTY])
            self._loaded.clear()
        if not closure["module"].startswith("axbuild."):
            return
        self.finder.code, self.finder.tops = code, frozenset(closure["tops"])
        with suppress(Exception):  # as above: the child meets the same error
            importlib.import_module(closure["module"])
        self._loaded |= {name: digest for name, (_, digest) in closure["modules"].items()}

    def _code_of(self, closure: dict[str, Any]) -> dict[str, tuple[str, CodeType]]:
        return {name: (path, self._compile(name, path, digest)) for name, (path, digest) in closure["modules"].items()}

    def _compile(self, name: str, path: str, digest: str) -> CodeType:
        if (name, digest) not in self._compiled:
            source = _verified(path, digest)
            self._compiled[name, digest] = compile(source, own_file(name, path), "exec", dont_inherit=True)
        return self._compiled[name, digest]

    def _verify_data(self, path: str, digest: str) -> None:
        try:
            found = os.stat(path)  # noqa: PTH116  # text, and asked for each action
        except OSError:
            raise CodeChanged(path) from None
        signature = [found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns]
        if self._data.get(path) != (signature, digest):
            _verified(path, digest)
            self._data[path] = (signature, digest)


def _verified(path: str, digest: str) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError:
        raise CodeChanged(path) from None
    if sha256(data).hexdigest() != digest:
        raise CodeChanged(path)
    return data


class Zygote:
    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.codes = Codes()
        self.forbidden: list[str] = []
        self.jobs = 1
        self.waiting: deque[dict[str, Any]] = deque()
        self.children: dict[int, Child] = {}
        self._in = b""
        self._out = bytearray()
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._open = True

    def serve(self) -> None:
        self.channel.setblocking(False)
        while self._open:
            for handle, _ in self._poll.poll(self._patience()):
                if handle == self.channel.fileno():
                    self._receive()
                else:
                    self._reap(self.children[handle])
            self._kill_late()
            while self._open and self.waiting and len(self.children) < self.jobs:
                self._start(self.waiting.popleft())
            self._send()
        for one in self.children.values():
            _kill(one)

    def _patience(self) -> float | None:
        deadlines = [one.deadline for one in self.children.values() if one.deadline is not None and not one.ending]
        return max(0.0, min(deadlines) - time.monotonic()) * 1000 + 1 if deadlines else None

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
            self.codes.closures[message["n"]] = message["closure"]
        elif "cancel" in message:
            self._cancel(message["cancel"])
        else:
            self.jobs = message["jobs"]
            self.forbidden = [message["workspace"], message["store"]]

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
            closure = self.codes.ready(job["n"])
        except CodeChanged as changed:
            self._tell(done=job["id"], ending="changed", path=str(changed))
            return
        except SyntaxError as error:
            self._tell(done=job["id"], ending="syntax", path=str(error.filename))
            return
        began = time.monotonic()
        report = os.memfd_create("report")
        log = os.memfd_create("log")
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._be_child(job, closure, report, log, parent)
            finally:
                os._exit(1)
        timeout = job["timeout"]
        handle = os.pidfd_open(pid)
        deadline = began + timeout if timeout is not None else None
        self.children[handle] = Child(job, pid, handle, report, log, began, deadline)
        self._poll.register(handle, select.POLLIN)
        self._tell(started=job["id"], pid=pid)

    def _be_child(self, job: dict[str, Any], closure: dict[str, Any], report: int, log: int, parent: int) -> None:
        self.channel.close()
        child.become_worker(log, parent)
        self.codes.enter(closure)
        child.write_report(report, child.run(job, closure, self.codes.finder, self.forbidden))
        os._exit(0)

    def _reap(self, one: Child) -> None:
        _, status, usage = os.wait4(one.pid, 0)
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
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
            report=json.loads(report) if report and status == 0 else None,
            elapsed=time.monotonic() - one.began,
            peak_memory_bytes=usage.ru_maxrss * 1024,
            log=_read_whole(one.log, LOG_TAIL_BYTES).decode("utf-8", "replace"),
        )

    def _kill_late(self) -> None:
        now = time.monotonic()
        for one in self.children.values():
            if one.deadline is not None and one.deadline <= now and not one.ending:
                one.ending = "timeout"
                _kill(one)

    def _tell(self, **message: Any) -> None:
        self._out += json.dumps(message).encode() + b"\n"

    def _send(self) -> None:
        try:
            while self._out:
                del self._out[: self.channel.send(self._out)]
        except BlockingIOError:
            self._poll.modify(self.channel, select.POLLIN | select.POLLOUT)
            return
        except ConnectionError:
            self._open = False
            return
        self._poll.modify(self.channel, select.POLLIN)


def _kill(one: Child) -> None:
    # The child makes its own group first thing; until then its pid alone is right.
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(one.pid, signal.SIGKILL)


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
    sys.path.pop(0)
    zygote = Zygote(channel)
    for name in [name for name in sys.modules if name.partition(".")[0] == "axbuild"]:
        del sys.modules[name]
    sys.meta_path[:] = [zygote.codes.finder]
    gc.disable()
    zygote.serve()


if __name__ == "__main__":
    main()
