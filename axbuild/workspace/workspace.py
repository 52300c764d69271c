"""A workspace: the folder that holds axbuild.toml, its settings, its rules and its packages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.workspace.answers import Answers
from axbuild.workspace.disk import RealDisk
from axbuild.workspace.ignore import OUTPUTS, Ignore, read_ignore
from axbuild.workspace.package_cache import PackageCache
from axbuild.workspace.packages import Packages
from axbuild.workspace.rulepack import RulePack, load_rules
from axbuild.workspace.settings import FILE_NAME, Settings, WrongSetting, read_settings


class NoWorkspace(AxError):
    code = "AX100"

    def __init__(self, start: Path) -> None:
        hint = f"run inside a workspace, or make one with an empty {FILE_NAME} in its top folder"
        super().__init__(f"neither {start} nor a folder above it holds {FILE_NAME}", hint=hint)


class Workspace:
    """Everything below one root folder, read when first asked for.

    root: absolute path. cache_dir: the store's folder, absolute. read_from: another one to take results from, or
    None. state_dir: this workspace's own
    bookkeeping inside it. id: 16 hex digits of the root's path.
    """

    def __init__(self, root: Path, settings: Settings, disk: RealDisk) -> None:
        self.root = root
        self.settings = settings
        self.disk = disk
        self.cache_dir = _cache_folder(root, settings.cache_dir)
        beyond = settings.cache_read_from
        self.read_from = Path(os.path.normpath(root / beyond)) if beyond else None
        self.id = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        self.state_dir = self.cache_dir / "workspaces" / self.id

    @classmethod
    def find(
        cls,
        start: Path,
        overrides: Mapping[str, Any] | None = None,
        config: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Workspace:
        """The workspace around the folder `start`.

        overrides: "section.key" -> value from the command line; config: names of [config.<name>]
        sections to apply; environ: os.environ where none is given.
        """
        here = start.resolve()
        for folder in (here, *here.parents):
            if (folder / FILE_NAME).is_file():
                disk = RealDisk(str(folder))
                settings = read_settings(disk, overrides or {}, config, os.environ if environ is None else environ)
                return cls(folder, settings, disk)
        raise NoWorkspace(start)

    def package_of(self, folder: Path) -> str:
        """The package that `folder` is, for relative labels: its path from the root, "" for the root."""
        relative = folder.resolve().relative_to(self.root).as_posix()
        return "" if relative == "." else relative

    @cached_property
    def rules(self) -> RulePack:
        return load_rules(self.root / "rules")

    @cached_property
    def ignore(self) -> Ignore:
        inside = self.cache_dir.is_relative_to(self.root) and self.cache_dir != self.root
        cache = (self.cache_dir.relative_to(self.root).as_posix(),) if inside else ()
        return read_ignore(self.disk, ("cache", *cache))

    @cached_property
    def packages(self) -> Packages:
        """The packages of this workspace, with the cache of parsed ones."""
        self.disk.answers = Answers(self.state_dir / "answers.msgpack", self.rules.digest)
        cache = PackageCache(self.state_dir / "packages.msgpack", self.rules.digest, self.settings.defaults)
        return Packages(self.disk, self.ignore, self.rules.rules, self.settings.defaults, cache)


def _cache_folder(root: Path, setting: str) -> Path:
    """The store's folder: one of its own, so that neither build nor `clean` ever touches a file of the user's."""
    folder = Path(os.path.normpath(root / setting))
    if root.is_relative_to(folder):
        raise WrongSetting("cache.dir", f"takes a folder of its own, and '{setting}' holds the workspace")
    if folder.is_relative_to(root / OUTPUTS):
        raise WrongSetting("cache.dir", f"takes a folder of its own, and '{setting}' is for outputs")
    # A store makes `cas` first; before that, a query has kept what it read in `workspaces`.
    if not (folder / "cas").is_dir() and (others := _entries(folder) - {"workspaces"}):
        sentence = f"takes a folder of its own, and {folder} holds other files, such as '{min(others)}'"
        hint = "name a new or empty folder with `dir` under [cache] in axbuild.toml, or in AXBUILD_CACHE_DIR"
        raise WrongSetting("cache.dir", sentence, hint)
    return folder


def _entries(folder: Path) -> set[str]:
    """What stands in a folder besides hidden files; nothing where it is none or cannot be read."""
    try:
        return {name for name in os.listdir(folder) if not name.startswith(".")}  # noqa: PTH208  one call, no Path
    except OSError:
        return set()
