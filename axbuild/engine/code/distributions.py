"""Which installed distribution a third-party module belongs to, read from the `*.dist-info` folders themselves.

`importlib.metadata` answers the same, at the price of its import and of a walk for each question.
"""

from __future__ import annotations

import os
import re
import site
import sys
from pathlib import Path
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.store.statcache import signature_of

PYTHON = "python"
ABSENT = "absent"

_REQUIRED = re.compile(r"Requires-Dist:\s*([A-Za-z0-9][A-Za-z0-9._-]*)([^;\n]*)(;.*)?$", re.MULTILINE)


class NoDistribution(AxError):
    code = "AX559"

    def __init__(self, module: str, folder: str) -> None:
        super().__init__(
            f"a stage imports '{module}' from {folder}, which belongs to no installed distribution, "
            "so its version cannot be part of the action's key",
            hint="install it (not as an editable install), or put the module into the workspace's rules/ "
            f"and import it as `from .{module} import ...`",
        )


@dataclass(frozen=True)
class Distribution:
    """tops: the top-level module names it brings. requires: what it needs without extras, by normalised name."""

    name: str
    version: str
    tops: tuple[str, ...]
    requires: tuple[str, ...]


@dataclass(frozen=True)
class Tools:
    """versions: distribution -> version, with everything it requires. tops: the modules those bring."""

    versions: dict[str, str]
    tops: tuple[str, ...]


class Installed:
    """The distributions in the site-packages folders; `cached` is what `record` gave in an earlier process."""

    def __init__(self, cached: Any = None, folders: list[str] | None = None) -> None:
        self._folders = [folder for folder in folders or site.getsitepackages() if Path(folder).is_dir()]
        # A distribution comes, goes and changes its version by a folder whose name says so.
        self._signature = [[folder, *signature_of(folder)] for folder in self._folders]
        if isinstance(cached, dict) and cached["signature"] == self._signature:
            found = [
                Distribution(name, version, tuple(tops), tuple(needs)) for name, version, tops, needs in cached["all"]
            ]
            self.fresh = False
        else:
            found = [_read(Path(entry.path)) for folder in self._folders for entry in _dist_infos(folder)]
            self.fresh = True
        self._by_name = {one.name: one for one in reversed(found)}
        self._by_top: dict[str, list[Distribution]] = {}
        for one in self._by_name.values():
            for top in one.tops:
                self._by_top.setdefault(top, []).append(one)

    def record(self) -> dict[str, Any]:
        everything = [[one.name, one.version, one.tops, one.requires] for one in self._by_name.values()]
        return {"signature": self._signature, "all": everything}

    def tools_of(self, modules: set[str]) -> Tools:
        """What top-level modules stand for: Python, their distributions, and all that these require."""
        versions = {PYTHON: ".".join(map(str, sys.version_info[:3]))}
        tops: set[str] = set()
        waiting: list[Distribution] = []
        for module in sorted(modules):
            owners = self._by_top.get(module, [])
            if not owners:
                self._refuse_unowned(module)
                versions[module] = ABSENT
            waiting += owners
        while waiting:
            one = waiting.pop()
            if one.name not in versions:
                versions[one.name] = one.version
                tops.update(one.tops)
                waiting += [self._by_name[name] for name in one.requires if name in self._by_name]
        return Tools(dict(sorted(versions.items())), tuple(sorted(tops)))

    def _refuse_unowned(self, module: str) -> None:
        for folder in [*self._folders, *_linked_folders(self._folders)]:
            names = {name.partition(".")[0] for name in _names(folder) if not name.endswith((".pth", "-info"))}
            if module in names:
                raise NoDistribution(module, folder)


def _names(folder: str) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208  # names, not paths


def _dist_infos(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name.endswith(".dist-info")), key=lambda entry: entry.name)


def _read(info: Path) -> Distribution:
    name, _, version = info.name.removesuffix(".dist-info").partition("-")
    metadata = (info / "METADATA").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    requires = {_normal(needed) for needed, _, marker in _REQUIRED.findall(metadata) if "extra" not in marker}
    return Distribution(_normal(name), version, _tops(info), tuple(sorted(requires)))


def _tops(info: Path) -> tuple[str, ...]:
    record = info / "RECORD"
    if not record.exists():
        listed = info / "top_level.txt"
        return tuple(sorted(listed.read_text().split())) if listed.exists() else ()
    tops = set()
    for line in record.read_text(encoding="utf-8").splitlines():
        first, slash, _ = line.partition(",")[0].lstrip('"').partition("/")
        if first.endswith((".dist-info", ".data", ".pth")) or first in ("..", "__pycache__"):
            continue
        if slash or first.endswith((".py", ".so", ".pyd")):
            tops.add(first.partition(".")[0])
    return tuple(sorted(tops))


def _linked_folders(folders: list[str]) -> list[str]:
    """Folders that .pth files add to the path, as editable installs do."""
    lines = [line.strip() for folder in folders for file in sorted(Path(folder).glob("*.pth")) for line in file.open()]
    return [line for line in lines if line.startswith("/") and Path(line).is_dir()]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
