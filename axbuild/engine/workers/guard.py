"""The walls around a stage in its process: which modules it can import, which files it can open.

Python code alone is covered: native code opens files and sockets without telling anyone. It is a net for mistakes
(an input that nobody declared), not a defence against an attacker.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from stat import S_ISLNK
from types import CodeType, ModuleType
from typing import Any

FIRST_PARTY = ("axbuild", "_workspace_rules")


def own_file(module: str, path: str) -> str:
    """A first-party module's file as tracebacks show it: the same on every machine."""
    parts = module.split(".")
    if parts[0] == "_workspace_rules":
        parts[0] = "rules"
    return "/".join(parts) + ("/__init__.py" if path.endswith("/__init__.py") else ".py")


class Refused(PermissionError):
    """What a stage tried and must not do."""


class Finder:
    """The only finder of a worker: first-party modules from verified code, third-party ones of declared tools.

    Whatever else is installed is invisible: its absence is the same on every machine. `refused` remembers it, for
    the error of a stage that could not do without.
    """

    def __init__(self) -> None:
        self.code: Mapping[str, tuple[str, CodeType]] = {}
        self.tops: frozenset[str] = frozenset()
        self.refused: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        if top in FIRST_PARTY:
            return self._first_party(name)
        if top in sys.stdlib_module_names or top in self.tops or top.startswith("_sysconfigdata"):
            for finder in (importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter):
                if spec := finder.find_spec(name, path, target):
                    return spec
            return importlib.machinery.PathFinder.find_spec(name, path, target)
        self.refused.add(name)
        return None

    def find_distributions(self, *context: Any) -> Iterable[Any]:
        """What importlib.metadata asks of a finder."""
        return importlib.machinery.PathFinder.find_distributions(*context)

    def _first_party(self, name: str) -> importlib.machinery.ModuleSpec | None:
        if name in self.code:
            path, code = self.code[name]
            package = path.endswith("/__init__.py")
            loader: Any = _Loader(path, code)
            spec = importlib.machinery.ModuleSpec(name, loader, origin=path, is_package=package)
            if package:
                spec.submodule_search_locations = [os.path.dirname(path)]  # noqa: PTH120  # text, as the import system
            spec.has_location = True
            return spec
        if any(known.startswith(f"{name}.") for known in self.code):
            return importlib.machinery.ModuleSpec(name, None, is_package=True)
        self.refused.add(name)
        return None


class _Loader:
    """No importlib.abc: it brings tempfile and random along, which cost every fork 46 page faults."""

    def __init__(self, path: str, code: CodeType) -> None:
        self._path = path
        self._code = code

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """The usual one will do."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)

    def get_code(self, fullname: str) -> CodeType:
        return self._code

    def get_source(self, fullname: str) -> str:
        with open(self._path, encoding="utf-8") as file:  # noqa: PTH123  # no pathlib in the way of a traceback
            return file.read()

    def is_package(self, fullname: str) -> bool:
        return self._path.endswith("/__init__.py")


def hide(names: Iterable[str]) -> dict[str, ModuleType]:
    """Take modules out of sys.modules, and out of the packages that stay; gives what `show` puts back.

    Whoever drops that lets the modules die, which in a fork means to copy most of what they hold.
    """
    hidden = {name: sys.modules.pop(name) for name in names}
    for name, module in hidden.items():
        package, _, child = name.rpartition(".")
        if package in sys.modules and getattr(sys.modules[package], child, None) is module:
            delattr(sys.modules[package], child)
    return hidden


def show(hidden: Mapping[str, ModuleType]) -> None:
    sys.modules.update(hidden)
    for name, module in hidden.items():
        package, _, child = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], child, module)


_REFUSED = {
    "subprocess.Popen": "start a process",
    "os.system": "start a process",
    "os.exec": "start a process",
    "os.posix_spawn": "start a process",
    "os.spawn": "start a process",
    "os.fork": "fork",
    "os.forkpty": "fork",
    "pty.spawn": "start a process",
}
# event -> (positions of paths written, position of the dir_fd each is relative to, or -1)
_WRITES: dict[str, tuple[tuple[int, int], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, -1),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, -1),),
    "os.removexattr": ((0, -1),),
    "sqlite3.connect": ((0, -1),),
}
_READS = {"os.listdir", "os.scandir", "os.chdir"}
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/dev")
_PYTHON = sorted({sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def readable(forbidden: Iterable[str], declared: Iterable[str]) -> dict[str, bool]:
    """Folders and files by real path with a verdict: the system's and Python's own may be read, and the declared."""
    verdicts = {os.path.realpath(path): True for path in _SYSTEM}
    verdicts |= {os.path.realpath(path): False for path in forbidden}
    return verdicts | {os.path.realpath(path): True for path in (*_PYTHON, *declared)}


@cache
def _real_folder(folder: str) -> str:
    """All scratch folders of a build lie in one."""
    return os.path.realpath(folder)


class Walls:
    """Which paths a stage may open: its scratch folder; else the nearest ancestor with a verdict decides, and without
    one it may not. processes: whether it may start some, as a stage does that runs a tool outside axbuild."""

    def __init__(self, scratch: str, verdicts: Mapping[str, bool], *, processes: bool = False) -> None:
        folder, _, name = scratch.rpartition("/")
        self._scratch = f"{_real_folder(folder)}/{name}"
        self._readable = verdicts
        self._may_start = processes

    def judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        """For sys.addaudithook, from which there is no way back; raises Refused."""
        if event == "open":
            path, mode, flags = arguments
            writes = flags & _WRITING if isinstance(flags, int) else any(letter in (mode or "") for letter in "wax+")
            (self._write if writes else self._read)(path, -1)
        elif event in _WRITES:
            for at, folder_at in _WRITES[event]:
                self._write(arguments[at], arguments[folder_at] if 0 <= folder_at < len(arguments) else -1)
        elif event in _READS:
            self._read(arguments[0], -1)
        elif event == "subprocess.Popen" and self._may_start:
            return
        elif event in _REFUSED or event.startswith("socket."):
            raise Refused(f"it tried to {_REFUSED.get(event, 'use a socket')} ({event})")

    def _read(self, path: Any, folder: Any) -> None:
        real = self._real(path, folder)
        if real is not None and not self._may_read(real):
            raise Refused(f"it tried to read '{real}', which is not one of its inputs")

    def _may_read(self, real: str) -> bool:
        if self._is_own(real):
            return True
        ancestor = real
        while ancestor not in self._readable:
            parent = os.path.dirname(ancestor)  # noqa: PTH120  # text: this runs on every open
            if parent == ancestor:
                return False
            ancestor = parent
        return self._readable[ancestor]

    def _write(self, path: Any, folder: Any) -> None:
        real = self._real(path, folder)
        if real is not None and real != "/dev/null" and not self._is_own(real):
            raise Refused(f"it tried to write '{real}', outside its own folder")

    def _is_own(self, real: str) -> bool:
        return f"{real}/".startswith(f"{self._scratch}/")

    def _real(self, path: Any, folder: Any) -> str | None:
        """The real path behind what was opened; None for descriptors, which were opened before."""
        if path is None or isinstance(path, int):
            return None if path is not None else os.getcwd()  # noqa: PTH109  # text
        text = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and not text.startswith("/"):
            text = f"/proc/self/fd/{folder}/{text}"
        return text if self._is_plainly_inside(text) else os.path.realpath(text)

    def _is_plainly_inside(self, text: str) -> bool:
        """Whether the path leads below the scratch folder, itself a real path, without a link: mostly it does, and the
        way down to that folder need not be asked for once more."""
        here = self._scratch
        if not text.startswith(f"{here}/"):
            return False
        parts = text[len(here) + 1 :].split("/")
        if not {"", ".", ".."}.isdisjoint(parts):
            return False
        for part in parts:
            here = f"{here}/{part}"
            try:
                if S_ISLNK(os.lstat(here).st_mode):
                    return False
            except OSError:  # what is below nothing, or a file, is no link
                return True
        return True
