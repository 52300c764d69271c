"""One stage in one forked process: walls up, parameters built, the stage called, its outputs looked over.

What it has to say goes to `report` as one JSON object: {"error", "diagnostics", "seconds"}, and before that how far it
is; its prints go to `log`.
What every fork needs alike is made ready before it: there, nothing that it touches has to be copied first, which is
most of what a small stage costs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from axbuild.engine.workers.guard import Finder, Refused, Walls
from axbuild.engine.workers.params import ParamsMismatch, params_of
from axbuild.engine.workers.preload import View
from axbuild.engine.workers.progress import Teller

PR_SET_PDEATHSIG = 1

_DIAGNOSTICS: list[dict[str, str]] = []
"""the AxWarnings of this process"""
_SHOWN = warnings.showwarning
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_TRACE_FRAMES = 4
_PROBE_BYTES = 1 << 18


def _random() -> ModuleType:
    """The module without the hook by which it draws a new seed in each fork: here all begin with the same."""
    register = os.register_at_fork
    os.register_at_fork = lambda **_hooks: None  # for the time of the import
    try:
        return importlib.import_module("random")
    finally:
        os.register_at_fork = register


random = _random()


class WrongOutputs(Exception):
    """The stage left other files than it declares."""


class _Misfit(Exception):
    """The stage's module has no such function."""


def make_ready() -> None:
    """In the parent, before all forks: what they inherit, such as the streams, over whatever their descriptors then
    are."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.dont_write_bytecode = True
    # They live as long as the process, so nothing closes them.
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115
    # As stdout.
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)  # noqa: SIM115


def settle() -> None:
    """In the parent, whenever it has imported modules, each of which may have set something for all: random numbers
    begin alike, temporary files are a fork's own, AxWarnings are collected and other warnings go to the log."""
    random.seed(0)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(0)
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]  # what was found here does not hold there
    warnings.filterwarnings("always", category=UserWarning)
    warnings.showwarning = _show


def become_worker(log: int, parent: int) -> None:
    """Cut the process loose from its parent's files and group, and tie its life to the parent's."""
    os.setpgid(0, 0)
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(log, 1)
    os.dup2(log, 2)


def run(job: Mapping[str, Any], view: View, finder: Finder, walls: Walls, report: int) -> dict[str, Any]:
    """Run the job; whatever the stage does comes back as a record. report: where it tells how far it is."""
    _DIAGNOSTICS.clear()
    scratch: str = job["scratch"]
    os.chdir(scratch)
    os.environ["HOME"], os.environ["TMPDIR"] = scratch, f"{scratch}/tmp"
    sys.addaudithook(walls.judge)
    begin = time.perf_counter()
    error = _attempt(job, view, finder, Path(scratch, "out"), Teller(report))
    seconds = time.perf_counter() - begin
    sys.stdout.flush()
    return {"error": error, "diagnostics": _DIAGNOSTICS, "seconds": seconds}


def _attempt(job: Mapping[str, Any], view: View, finder: Finder, out: Path, teller: Teller) -> dict[str, Any] | None:
    name = job["function"]
    try:
        stage = getattr(_module(job["module"], view), name, None)
        if told := sys.modules.get("axbuild.progress"):
            told.listen(teller)
        if not callable(stage):
            raise _Misfit(f"module {job['module']} has no function '{name}'")
        inputs = {role: _paths(value) for role, value in job["inputs"].items()}
        placed = {role: job[role] for role in ("device", "call") if job[role] is not None}
        stage(**inputs, out=out, **params_of(stage, job["params"]), **placed)
        _check_outputs(out, job["outputs"])
    # Every way in which a stage can end is reported by the process that runs it; none may end the parent.
    except BaseException as error:
        traceback.print_exc()
        return _record(error, job["module"], name, view, finder)
    return None


def _module(name: str, view: View) -> ModuleType:
    """The stage's module: axbuild's own is loaded; a workspace's is run here, without importlib, nearly all of which
    the fork would have to copy first."""
    if view.blank is None:
        return importlib.import_module(name)
    sys.modules[name] = view.blank
    exec(view.code[name][1], view.blank.__dict__)
    return view.blank


def _paths(value: str | list[str]) -> Path | list[Path]:
    return Path(value) if isinstance(value, str) else [Path(one) for one in value]


def _check_outputs(out: Path, declared: list[str]) -> None:
    entries = list(os.scandir(out))
    found = {f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries}
    if missing := sorted(set(declared) - found):
        raise WrongOutputs(f"it did not write its output {_listed(missing)}")
    if extra := sorted(found - set(declared)):
        raise WrongOutputs(f"it wrote {_listed(extra)}, which it does not declare as output")
    _check_plain("", entries)


def _check_plain(within: str, entries: Iterable[os.DirEntry[str]]) -> None:
    for entry in entries:
        name = within + entry.name
        if not _is_text(name):
            raise WrongOutputs(f"the name of its output {name!a} is not UTF-8")
        if entry.is_dir(follow_symlinks=False):
            _check_plain(f"{name}/", os.scandir(entry.path))
        elif not entry.is_file(follow_symlinks=False):
            raise WrongOutputs(f"its output '{name}' is not a plain file or folder")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _show(message: Any, category: Any, *place: Any, **more: Any) -> None:
    if _is_ours(category, "AxWarning"):
        _DIAGNOSTICS.append({"code": str(message.code), "sentence": str(message.sentence)})
    else:
        _SHOWN(message, category, *place, **more)


def _record(error: BaseException, module: str, name: str, view: View, finder: Finder) -> dict[str, Any]:
    """The error as a record: an AxError's own, or a sentence that names the stage.

    What a stage of axbuild's own has no sentence for is a defect of ours, and another code than a workspace's.
    """
    if _is_of_a_full_disk(error) or (not isinstance(error, Refused) and _disk_is_full()):
        hint = "free some space, or move the cache with `dir` under [cache] in axbuild.toml"
        return _made("AX901", f"no space left on the disk while stage '{name}' ran", hint, None)
    if _is_ours(type(error), "AxError"):
        return dict(error.record())  # type: ignore[attr-defined]  # the class of the closure's own axbuild.errors
    place = _place(error, view)
    match error:
        case Refused():
            hint = "declare the file as an input of the action or, if it ships with the stage, in Stage.data"
            return _made("AX554", f"stage '{name}' was stopped: {error.args[0]}", hint, place)
        case ImportError() if refused := _refused(error, finder):
            hint = "if it is installed, import it with a plain import statement, so that it becomes part of the key"
            return _made("AX557", f"stage '{name}' asks for module '{refused}', which it cannot see", hint, place)
        case WrongOutputs():
            return _made("AX553", f"stage '{name}': {error}", "", None)
        case ParamsMismatch() | _Misfit():
            return _made("AX558", f"stage '{name}': {error}", "rule and stage must agree; see Stage", None)
        case MemoryError():
            return _made("AX550", f"stage '{name}' ran out of memory", _trace(error, view), place)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if module.partition(".")[0] == "axbuild":
        hint = f"this is a defect of axbuild; please report it: {_trace(error, view)}"
        return _made("AX562", f"stage '{name}' failed: {what}", hint, place)
    return _made("AX550", f"stage '{name}' failed: {what}", _trace(error, view), place)


def _is_of_a_full_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _disk_is_full() -> bool:
    """Asked of the disk itself: numpy and other libraries raise for it what they like, mostly without an errno."""
    probe = Path("tmp", "probe")
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        return _is_of_a_full_disk(error)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return False


def _refused(error: ImportError, finder: Finder) -> str:
    """The module behind an ImportError that the finder kept out of sight, or ""."""
    return next((one for one in sorted(finder.refused) if one == error.name or one.startswith(f"{error.name}.")), "")


def _made(code: str, sentence: str, hint: str, place: dict[str, Any] | None) -> dict[str, Any]:
    return {"code": code, "sentence": sentence, "hint": hint, "place": place}


def _is_ours(kind: type, name: str) -> bool:
    return any(base.__name__ == name and base.__module__ == "axbuild.errors" for base in kind.__mro__)


def _own_frames(error: BaseException, view: View) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in view.own_files]


def _place(error: BaseException, view: View) -> dict[str, Any] | None:
    frames = _own_frames(error, view)
    if not frames:
        return None
    last = frames[-1]
    return {"file": last.filename, "line": last.lineno or 0, "text": (last.line or "").strip()}


def _trace(error: BaseException, view: View) -> str:
    frames = _own_frames(error, view)[-_TRACE_FRAMES:]
    return "raised " + " <- ".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in reversed(frames))


def write_report(file: int, report: Mapping[str, Any]) -> None:
    os.ftruncate(file, 0)  # of how far it was
    data = json.dumps(report).encode()
    while data:
        data = data[os.write(file, data) :]
