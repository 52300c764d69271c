"""Rule files -> rules and stages; the standard pack and a workspace's own are loaded by the same lines.

A rule file is `rules/*.py` whose name neither begins with "_" nor ends in "_stages.py" (where heavy
imports belong: workers import those). Files are loaded by path as modules of a private package, so
that nothing called `rules` is importable, and files may import their neighbours relatively.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
import traceback
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import axbuild
from axbuild.errors import AxError, Place
from axbuild.workspace.disk import Seen, digest_of_listing, look, scan
from axbuild.workspace.rule import Rule
from axbuild.workspace.stage import Stage
from axbuild.workspace.tables import Tables

STANDARD = "_axbuild_standard_rules"
"""under this name the package of the standard rules that were loaded last can be found in sys.modules"""


class RuleFileFailed(AxError):
    code = "AX113"


@dataclass(frozen=True)
class RulePack:
    """Every rule by name, every declared stage by reference, and the digest of the files they stand in."""

    rules: dict[str, Rule]
    stages: dict[str, Stage]
    digest: str
    files: tuple[Path, ...]
    seen: dict[Path, Seen] = field(default_factory=dict)
    """files and folders of rules as they were when they were read"""


def standard_folder() -> Path:
    """The standard pack: inside the package in a wheel, beside it in a checkout."""
    package = Path(axbuild.__file__).parent
    inside = package / "_rules"
    return inside if inside.is_dir() else package.parent / "rules"


def standard_module(name: str) -> ModuleType:
    """A module of the standard rules, the very one that the loaded rules use."""
    if STANDARD not in sys.modules:
        load_rules(None)
    return importlib.import_module(f"{sys.modules[STANDARD].__name__}.{name}")


def rule_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix == ".py" and path.is_file())
    return sorted(path for path in found if not path.name.startswith("_") and not path.name.endswith("_stages.py"))


def load_rules(own: Path | None) -> RulePack:
    """The standard rules and those of a workspace's folder `own`; a name may be declared once."""
    rules: dict[str, Rule] = {}
    stages: dict[str, Stage] = {}
    digest = hashlib.sha256()
    files: list[Path] = []
    seen: dict[Path, Seen] = {}
    for folder in (standard_folder(), own):
        if folder is None:
            continue
        seen[folder] = Seen(look(str(folder)), time.time_ns(), digest_of_listing(scan(str(folder))))
        if not (found := rule_files(folder)):
            continue
        texts: dict[Path, bytes] = {}
        for path in sorted(folder.glob("*.py")):
            before, taken_ns = look(str(path)), time.time_ns()
            texts[path] = path.read_bytes()
            seen[path] = Seen(before, taken_ns, hashlib.sha256(texts[path]).digest())
        local = hashlib.sha256()
        for path, text in texts.items():
            local.update(path.name.encode() + b"\0" + hashlib.sha256(text).digest())
        digest.update(local.digest())
        package = f"_axbuild_rules_{local.hexdigest()[:16]}"
        for path, module in _load_folder(folder, found, package, texts):
            _collect(path, module, folder, rules, stages)
        files += texts
        for tables in _tables_of(package):
            digest.update(tables.digest)
            seen |= tables.seen
    return RulePack(rules, stages, digest.hexdigest(), tuple(files), seen)


def _load_folder(
    folder: Path, files: list[Path], package: str, texts: dict[Path, bytes]
) -> list[tuple[Path, ModuleType]]:
    if package not in sys.modules:
        holder = ModuleType(package)
        holder.__path__ = [str(folder)]
        sys.modules[package] = holder
    if folder == standard_folder():
        sys.modules[STANDARD] = sys.modules[package]
    finder = _ReadFiles(package, texts)
    sys.meta_path.insert(0, finder)
    try:
        return [(path, _load(f"{package}.{path.stem}", path)) for path in files]
    finally:
        sys.meta_path.remove(finder)


def _tables_of(package: str) -> list[Tables]:
    """What the modules of a folder of rules read beside themselves, in the order of their names."""
    modules = sorted(name for name in sys.modules if name.startswith(f"{package}."))
    return [value for name in modules for value in vars(sys.modules[name]).values() if isinstance(value, Tables)]


class _ReadFiles(SourceFileLoader):
    """Serves exactly the bytes that were hashed: bytecode kept under time stamps could be older than an edit."""

    def __init__(self, package: str, texts: dict[Path, bytes]) -> None:
        super().__init__(package, "")
        self._files = {f"{package}.{path.stem}": (str(path), text) for path, text in texts.items()}

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname not in self._files:
            return None
        return spec_from_file_location(fullname, self._files[fullname][0], loader=self)

    def get_code(self, fullname: str) -> CodeType:
        path, text = self._files[fullname]
        return compile(text, path, "exec", dont_inherit=True)


def _load(name: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        place = Place(_shown(path), error.lineno or 0, (error.text or "").strip())
        raise RuleFileFailed(f"not valid Python: {error.msg}", place=place) from error
    except AxError:
        raise
    except (Exception, SystemExit) as error:  # whatever a rule file raises is its author's to read, with the line
        place = raised_in(path, error) or Place(_shown(path))
        raise RuleFileFailed(f"cannot be loaded: {type(error).__name__}: {error}", place=place) from error


def raised_in(path: Path, error: BaseException) -> Place | None:
    """The last line of the rule file `path`, or of any in the folder `path`, on the way to an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path in (Path(frame.filename), Path(frame.filename).parent)]
    return Place(_shown(Path(own[-1].filename)), own[-1].lineno or 0, own[-1].line or "") if own else None


def _collect(path: Path, module: ModuleType, folder: Path, rules: dict[str, Rule], stages: dict[str, Stage]) -> None:
    for value in vars(module).values():
        if isinstance(value, Rule) and value.module == module.__name__:
            if value.name in rules:
                raise RuleFileFailed(f"rule '{value.name}' is declared already", place=Place(_shown(path)))
            rules[value.name] = value
        elif isinstance(value, Stage):
            _check_stage(value, path, folder)
            if stages.setdefault(value.ref, value) != value:
                sentence = f"stage {value.ref} is declared already, with other properties"
                raise RuleFileFailed(sentence, place=Place(_shown(path)))


def _check_stage(stage: Stage, path: Path, folder: Path) -> None:
    module, function = stage.module, stage.function
    if not module or not function.isidentifier():
        raise RuleFileFailed(
            f"stage '{stage.ref}' must read package.module:function or ./file.py:function", place=Place(_shown(path))
        )
    if module.startswith("./") and not (folder / module).is_file():
        raise RuleFileFailed(f"stage {stage.ref}: there is no {module[2:]} beside this file", place=Place(_shown(path)))


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
