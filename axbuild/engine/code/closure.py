"""The code of a stage: every first-party module its module can import, byte for byte, and the tools behind it.

Found by parsing imports, never by importing; what a stage loads by name (`Stage.named`) is told by its input.
First-party is the package `axbuild`, and the workspace's `rules/` folder under a private package name. What is known
of a file (digest, imports) is kept by its stat signature, so that a warm closure costs one stat a module.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import axbuild
from axbuild.dataclass import dataclass
from axbuild.engine.code.distributions import Installed, Tools
from axbuild.engine.code.imports import Import, imports_of
from axbuild.engine.code.key import StageCode
from axbuild.errors import AxError, Place
from axbuild.store.digests import digest_of_bytes
from axbuild.store.records import read_record, write_record
from axbuild.store.statcache import has_settled, signature_of
from axbuild.workspace.disk import Seen, look
from axbuild.workspace.stage import Stage

VERSION = 1
PACKAGE = "axbuild"
RULES = "_workspace_rules"


class StageNotFound(AxError):
    code = "AX558"

    def __init__(self, ref: str, what: str) -> None:
        super().__init__(
            f"stage '{ref}': {what}", hint="a stage is named 'package.module:function' or './file.py:function'"
        )


class StageBroken(AxError):
    code = "AX558"

    def __init__(self, path: str, error: SyntaxError) -> None:
        super().__init__(
            f"this code of a stage is not valid Python: {error.msg}",
            place=Place(path, error.lineno or 0, (error.text or "").strip()),
        )


@dataclass(frozen=True)
class ToolImport:
    """A third-party import at module level; `tops`: what its distribution requires, and so what it may see."""

    module: str
    names: tuple[str, ...]
    tops: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Closure:
    """modules, data: name -> (absolute path, SHA-256).

    module, function: what to call. loaded: the modules it loads by name. imports: third-party imports at module
    level, for a worker to make beforehand.
    tops: the top-level third-party modules the stage may import. code: what of all this stands in keys.
    """

    module: str
    function: str
    loaded: tuple[str, ...]
    modules: dict[str, tuple[str, str]]
    data: dict[str, tuple[str, str]]
    imports: tuple[ToolImport, ...]
    tops: tuple[str, ...]
    code: StageCode


@dataclass(frozen=True)
class _File:
    digest: str
    imports: tuple[Import, ...]


class Code:
    """Closures of stages, for one build: a file is looked at once.

    package_root: the folder that holds `axbuild/`. rules: the workspace's rules folder, for "./file.py:function".
    cache: a file of the workspace's state; `save` writes what was learnt.
    """

    def __init__(self, package_root: Path | None = None, rules: Path | None = None, cache: Path | None = None) -> None:
        self._root = package_root or Path(axbuild.__file__).resolve().parent.parent
        self._folders = {PACKAGE: str(self._root / PACKAGE)}
        if rules is not None:
            self._folders[RULES] = str(rules)
        self._cache = cache
        self._opened_ns = time.time_ns()
        kept = (read_record(cache, VERSION) if cache else None) or {"files": {}, "installed": None}
        self._kept: dict[str, Any] = kept["files"]
        self._kept_installed = kept["installed"]
        self._changed = False
        self._installed: Installed | None = None
        self._listings: dict[str, frozenset[str]] = {}
        self._listed: list[tuple[str, Seen]] = []
        self._files: dict[tuple[str, str], _File] = {}
        self._paths: dict[str, str | None] = {}
        self._tools: dict[frozenset[str], Tools] = {}
        self._tables: dict[str, dict[str, str]] = {}
        self._closures: dict[tuple[Stage, frozenset[str] | None], Closure] = {}

    def closure(self, stage: Stage, names: frozenset[str] | None = None) -> Closure:
        """All the stage depends on beside inputs and parameters; names: of the rows it loads by name, None for all.

        Raises StageNotFound, StageBroken, NoDistribution.
        """
        known = self._closures.get((stage, names))
        if known is None:
            known = self._closures[stage, names] = self._find(stage, names)
        return known

    def save(self) -> None:
        """Keep what was learnt for the next process."""
        if self._cache is not None and (self._changed or (self._installed is not None and self._installed.fresh)):
            installed = self._installed.record() if self._installed else self._kept_installed
            write_record(self._cache, VERSION, {"files": self._kept, "installed": installed})
            self._changed = False

    def seen(self) -> Iterator[tuple[str, Seen, bool]]:
        """Every file and folder that closures rest on: absolute path, what it was, whether it is a folder."""
        for path, module in self._files:
            signature, taken_ns, digest, _ = self._kept[f"{module}:{path}"]
            yield path, Seen(tuple(signature), taken_ns, bytes.fromhex(digest)), False
        for folder, seen in self._listed:
            yield folder, seen, True
        if self._installed is not None:
            for folder, *signature in self._installed.record()["signature"]:
                yield folder, Seen(tuple(signature), self._opened_ns, None), True

    def _find(self, stage: Stage, names: frozenset[str] | None) -> Closure:
        module = self._module_of(stage)
        rows = self._rows(stage, names)
        loaded = tuple(sorted({place.partition(":")[0] for place in rows.values()}))
        modules: dict[str, tuple[str, str]] = {}
        foreign: dict[str, None] = {}
        preload: dict[tuple[str, tuple[str, ...]], None] = {}
        waiting = [module, *loaded]
        while waiting:
            name = waiting.pop()
            path = self._path(name)
            if name in modules or path is None:
                continue
            file = self._file(path, name)
            modules[name] = (path, file.digest)
            for one in file.imports:
                top = one.module.partition(".")[0]
                if top in self._folders:
                    waiting += self._reached(one)
                elif top not in sys.stdlib_module_names:
                    foreign[top] = None
                    if not one.local:
                        preload[one.module, one.names] = None
            waiting += _parents(name)
        data = {name: self._data(stage, name) for name in stage.data}
        code = {name: digest for name, (_, digest) in (modules | data).items()}
        if stage.named is not None:
            code |= {f"{stage.named.table}: {name}": digest_of_bytes(place.encode()) for name, place in rows.items()}
            data[stage.named.table] = self._data(stage, stage.named.table)
        tools = self._tools_of(frozenset(foreign))
        return Closure(
            module,
            stage.function,
            loaded,
            dict(sorted(modules.items())),
            data,
            tuple(self._preload(module, names) for module, names in sorted(preload)),
            tools.tops,
            StageCode(code, tools.versions),
        )

    def _rows(self, stage: Stage, names: frozenset[str] | None) -> dict[str, str]:
        """name -> "module:attribute" of what the stage loads by name."""
        if stage.named is None:
            return {}
        table = stage.named.table
        if table not in self._tables:
            self._tables[table] = self._table(stage, table)
        rows = self._tables[table]
        taken = {name: place for name, place in sorted(rows.items()) if names is None or name in names}
        for name, place in taken.items():
            if self._path(place.partition(":")[0]) is None:
                raise StageNotFound(stage.ref, f"'{name}' in {table} is '{place}', and there is no such module")
        return taken

    def _table(self, stage: Stage, name: str) -> dict[str, str]:
        path, digest = self._data(stage, name)
        source = Path(path).read_bytes()
        if sha256(source).hexdigest() != digest:
            raise StageNotFound(stage.ref, f"its table {name} was changed while it was read")
        try:
            rows: dict[str, str] = json.loads(source)
        except ValueError as error:
            raise StageNotFound(stage.ref, f"its table {name} is no JSON: {error}") from None
        return rows

    def _module_of(self, stage: Stage) -> str:
        if not stage.function:
            raise StageNotFound(stage.ref, "it names no function")
        module = stage.module
        if module.startswith("./"):
            if RULES not in self._folders or not module.endswith(".py"):
                raise StageNotFound(stage.ref, "it is not a .py file of the workspace's rules/ folder")
            module = f"{RULES}.{module[2:-3].replace('/', '.')}"
        if self._path(module) is None:
            raise StageNotFound(stage.ref, "there is no such module")
        return module

    def _reached(self, one: Import) -> list[str]:
        """The modules a first-party import loads: the one it names, and each name that is a submodule of it."""
        return [one.module, *(f"{one.module}.{name}" for name in one.names if self._path(f"{one.module}.{name}"))]

    def _path(self, module: str) -> str | None:
        if module not in self._paths:
            self._paths[module] = self._locate(module)
        return self._paths[module]

    def _locate(self, module: str) -> str | None:
        """The module's file; None when there is none, or when it is a plain folder."""
        top, *rest = module.split(".")
        folder = self._folders.get(top)
        if folder is None:
            return None
        for name in rest[:-1]:
            if name not in self._listing(folder):
                return None
            folder = f"{folder}/{name}"
        if rest and f"{rest[-1]}.py" in self._listing(folder):
            return f"{folder}/{rest[-1]}.py"
        if rest and rest[-1] not in self._listing(folder):
            return None
        package = f"{folder}/{rest[-1]}" if rest else folder
        return f"{package}/__init__.py" if "__init__.py" in self._listing(package) else None

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._listings:
            self._listed.append((folder, Seen(look(folder), time.time_ns(), None)))
            try:
                self._listings[folder] = frozenset(os.listdir(folder))  # noqa: PTH208  # names, not paths
            except (FileNotFoundError, NotADirectoryError):
                self._listings[folder] = frozenset()
        return self._listings[folder]

    def _file(self, path: str, module: str = "") -> _File:
        """Digest and imports of a module's file; of a data file (no module) the digest."""
        if (path, module) not in self._files:
            self._files[path, module] = self._recall(path, module) or self._read(path, module)
        return self._files[path, module]

    def _recall(self, path: str, module: str) -> _File | None:
        kept = self._kept.get(f"{module}:{path}")
        if kept is None:
            return None
        signature, taken_ns, digest, imports = kept
        fresh = signature_of(path)
        if list(fresh) != list(signature) or not has_settled(fresh, taken_ns):
            return None
        return _File(digest, tuple(Import(module, tuple(names), local) for module, names, local in imports))

    def _read(self, path: str, module: str) -> _File:
        taken_ns, signature = time.time_ns(), signature_of(path)
        source = Path(path).read_bytes()
        try:
            found = imports_of(source, module, path.endswith("/__init__.py")) if module else []
        except SyntaxError as error:
            raise StageBroken(path, error) from error
        file = _File(sha256(source).hexdigest(), tuple(found))
        imports = [[one.module, one.names, one.local] for one in found]
        self._kept[f"{module}:{path}"] = [list(signature), taken_ns, file.digest, imports]
        self._changed = True
        return file

    def _data(self, stage: Stage, name: str) -> tuple[str, str]:
        base = self._folders.get(RULES) if name.startswith("./") else str(self._root)
        path = f"{base}/{name.removeprefix('./')}"
        if base is None or not Path(path).is_file():
            raise StageNotFound(stage.ref, f"its data file '{name}' does not exist")
        return path, self._file(path).digest

    def _preload(self, module: str, names: tuple[str, ...]) -> ToolImport:
        return ToolImport(module, names, self._tools_of(frozenset([module.partition(".")[0]])).tops)

    def _tools_of(self, modules: frozenset[str]) -> Tools:
        if modules not in self._tools:
            if self._installed is None:
                self._installed = Installed(self._kept_installed)
            self._tools[modules] = self._installed.tools_of(set(modules))
        return self._tools[modules]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
