"""What a zygote has in memory for its forks: first-party code, verified and compiled once, and modules imported."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from axbuild.engine.workers.guard import FIRST_PARTY, Finder, hide, own_file, readable, show


class FileChanged(Exception):
    """A file of a stage's code or data is no longer what the action's key says."""


@dataclass(frozen=True)
class View:
    """All that a fork needs to have only one closure in sight, worked out before it."""

    code: dict[str, tuple[str, CodeType]]
    tops: frozenset[str]
    strangers: tuple[str, ...]
    readable: dict[str, bool]
    own_files: frozenset[str]
    blank: ModuleType | None = None
    """The stage's module, made and not run; None where importing it takes more."""


class Preload:
    """Closures by number, as the client sends them, and what was loaded for them."""

    def __init__(self) -> None:
        self.closures: dict[int, dict[str, Any]] = {}
        self.finder = Finder()
        self.forbidden: tuple[str, ...] = ()
        self._compiled: dict[tuple[str, str], CodeType] = {}
        self._data: dict[str, tuple[tuple[int, ...], str]] = {}
        self._loaded: dict[str, str] = {}
        self._ready: set[int] = set()
        self._views: dict[int, View] = {}
        self._preloaded: set[tuple[str, tuple[str, ...]]] = set()
        self._hidden: dict[str, ModuleType] = {}

    def is_ready(self, number: int) -> bool:
        """Whether the closure's modules are loaded."""
        return number in self._ready

    def load(self, number: int) -> None:
        """Raises FileChanged and SyntaxError."""
        closure = self.closures[number]
        self._import_tools(closure)
        self._import_stage(closure)
        self._ready.add(number)
        self._views.clear()  # what is a stranger to a view depends on what is loaded

    def view(self, number: int) -> View:
        """The view of a closure that was loaded; raises FileChanged."""
        closure = self.closures[number]
        for path, digest in closure["data"].values():
            self._verify_data(path, digest)
        if number not in self._views:
            self._views[number] = self._look(closure)
        return self._views[number]

    def enter(self, view: View) -> None:
        """In the fork: leave nothing in sight but the closure's own modules and tools."""
        self.finder.code, self.finder.tops = view.code, view.tops
        self.finder.refused.clear()
        self._hidden = hide(view.strangers)

    def _look(self, closure: dict[str, Any]) -> View:
        tops, modules = frozenset(closure["tops"]), closure["modules"]
        known = self._known_tops() - tops
        packages = {name[:at] for name in modules for at, letter in enumerate(name) if letter == "."}
        own = modules.keys() | packages
        strangers = [
            name
            for name in sys.modules
            if (top := name.partition(".")[0]) in known or (top in FIRST_PARTY and name not in own)
        ]
        declared = [path for path, _ in (*modules.values(), *closure["data"].values())]
        shown = frozenset(own_file(name, path) for name, (path, _) in modules.items())
        verdicts, blank = readable(self.forbidden, declared), self._blank(closure)
        return View(self._code_of(closure), tops, tuple(strangers), verdicts, shown, blank)

    def _blank(self, closure: dict[str, Any]) -> ModuleType | None:
        name = closure["module"]
        if name in sys.modules or any(name.startswith(f"{other}.") for other in closure["modules"]):
            return None  # it is loaded, or a package of it has code of its own, which runs first
        self.finder.code = self._code_of(closure)
        spec = self.finder.find_spec(name, None)
        return importlib.util.module_from_spec(spec) if spec is not None else None

    def _known_tops(self) -> set[str]:
        return {top for one in self.closures.values() for top in one["tops"]}

    def _import_tools(self, closure: dict[str, Any]) -> None:
        """Import third-party modules, each seeing only what its own distribution requires: order changes nothing."""
        for module, names, tops in closure["imports"]:
            if (module, tuple(names)) in self._preloaded:
                continue
            self.finder.tops = frozenset(tops)
            known = self._known_tops() - self.finder.tops
            hidden = hide([name for name in sys.modules if name.partition(".")[0] in known])
            with _whole_or_not(module):
                loaded = importlib.import_module(module)
                for name in names:
                    if not hasattr(loaded, name):
                        importlib.import_module(f"{module}.{name}")
            show(hidden)
            self._preloaded.add((module, tuple(names)))

    def _import_stage(self, closure: dict[str, Any]) -> None:
        """Import axbuild's own stage; a workspace's code runs in forks only."""
        code = self._code_of(closure)
        if any(self._loaded.get(name, digest) != digest for name, (_, digest) in closure["modules"].items()):
            hide([name for name in sys.modules if name.partition(".")[0] in FIRST_PARTY])
            self._loaded.clear()
        if not closure["module"].startswith("axbuild."):
            return
        self.finder.code, self.finder.tops = code, frozenset(closure["tops"])
        for module in (closure["module"], *closure["loaded"]):
            with suppress(Exception):  # it fails again in a fork, where the error can be told
                importlib.import_module(module)
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
            raise FileChanged(path) from None
        seen = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
        if self._data.get(path) != (seen, digest):
            _verified(path, digest)
            self._data[path] = (seen, digest)


@contextmanager
def _whole_or_not(module: str) -> Iterator[None]:
    """What cannot be imported here fails again in the stage that needs it, where the error can be told.

    No part of it stays: parts of a package, imported before it failed, would go on with the half that did.
    """
    before = set(sys.modules)
    try:
        yield
    except Exception:
        top = module.partition(".")[0]
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == top:
                del sys.modules[name]


def _verified(path: str, digest: str) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError:
        raise FileChanged(path) from None
    if sha256(data).hexdigest() != digest:
        raise FileChanged(path)
    return data
