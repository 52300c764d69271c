"""While a rule file is imported or lays out actions, nothing may flow into the build that no build watches.

Rule files are hashed with every module below their folder, and so are the tables that they read through `Tables`. A
file that one opens by itself, a variable of the environment and a module from elsewhere in the workspace could change
without a build taking notice: they are refused, in the line that asks. What an installed module does while it is
imported is its own business.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib.util import source_from_cache
from pathlib import Path
from types import FrameType

RULE_MODULES = "_axbuild_rules_"
"""how the private names of all rule modules begin"""

_IMPORTS = ("importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib", "_frozen_importlib_external")
_LISTS = ("os.listdir", "os.scandir")
_INSTALLED = sorted({os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix)})
_OWN = os.path.realpath(Path(__file__).parent.parent)


class Unwatched(BaseException):
    """A rule file asks for something that a build does not watch; no `except Exception` of its own may hide it."""

    hint = "declare a file as a Source attribute, put code below rules/, and a setting into axbuild.toml or BUILD.toml"


class _Confinement:
    """folder: the rule files that now run, None while none do."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self._hooked = False

    def hook(self) -> None:
        if not self._hooked:
            sys.addaudithook(self._judge)
            self._hooked = True

    def _judge(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.folder is None or not (event == "open" or event in _LISTS) or not isinstance(arguments[0], str | bytes):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100  # text, since it is asked of every file
        asker = _asker(sys._getframe(1))
        if asker in _IMPORTS:
            if event == "open" and self._is_elsewhere(path):
                raise Unwatched(f"imports {self._shown(path)}, which is neither installed nor below the rules' folder")
        elif asker.startswith(RULE_MODULES) and not self._is_below(path):
            raise Unwatched(f"{'opens' if event == 'open' else 'lists'} {self._shown(path)}, which no build watches")

    def _is_elsewhere(self, path: str) -> bool:
        """In the workspace, and not an installation that stands in it."""
        assert self.folder is not None
        workspace = os.path.dirname(self.folder)  # noqa: PTH120  # as above
        real = os.path.realpath(path)
        known = (self.folder, os.path.realpath(self.folder), _OWN, *_INSTALLED)
        installed = any(real.startswith(f"{one}/") for one in known) or "/site-packages/" in real
        return path.startswith(f"{workspace}/") and not installed

    def _is_below(self, path: str) -> bool:
        return path.endswith(".py") and path.startswith(f"{self.folder}/")

    def _shown(self, path: str) -> str:
        assert self.folder is not None
        if "/__pycache__/" in path:
            path = source_from_cache(path)
        return path.removeprefix(os.path.dirname(self.folder) + "/")  # noqa: PTH120  # as above


class _Environment(MutableMapping[str, str]):
    """The environment, closed to rule files; what they import may go on reading it."""

    def __init__(self, real: MutableMapping[str, str]) -> None:
        self._real = real

    def _checked(self) -> MutableMapping[str, str]:
        if _CONFINEMENT.folder is not None and _asker(sys._getframe(2)).startswith(RULE_MODULES):
            raise Unwatched("reads the environment, which no build watches")
        return self._real

    def __getitem__(self, name: str) -> str:
        return self._checked()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checked())

    def __len__(self) -> int:
        return len(self._checked())

    def __setitem__(self, name: str, value: str) -> None:
        self._checked()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._checked()[name]

    def __getattr__(self, name: str) -> object:
        return getattr(self._checked(), name)


_CONFINEMENT = _Confinement()


def _asker(frame: FrameType | None) -> str:
    """The module on whose behalf the standard library now works: an import, a rule file, or one of axbuild's own."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith((RULE_MODULES, "axbuild.")) and name != __name__:
            return name
        if name in _IMPORTS:
            return name
        frame = frame.f_back
    return ""


@contextmanager
def confined(folder: Path) -> Iterator[None]:
    """Refuse, with Unwatched, what rule files of `folder` ask of the world meanwhile."""
    _CONFINEMENT.hook()
    before, real = _CONFINEMENT.folder, os.environ
    _CONFINEMENT.folder = str(folder)
    vars(os)["environ"] = _Environment(real)
    try:
        yield
    finally:
        _CONFINEMENT.folder = before
        vars(os)["environ"] = real
