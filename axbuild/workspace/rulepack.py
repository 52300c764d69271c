"""Rule files -> rules, stages and verbs; the standard pack and a workspace's own are loaded by the same lines.

A rule file is `rules/*.py` whose name neither begins with "_" nor ends in "_stages.py" (where heavy
imports belong: workers import those). Files are loaded by path as modules of a private package, so
that nothing called `rules` is importable, and files may import their neighbours relatively.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import cast

import axbuild
from axbuild.dataclass import dataclass, field, replace
from axbuild.errors import AxError, Place
from axbuild.workspace.confined import RULE_MODULES, Unwatched, confined
from axbuild.workspace.disk import FILE, FOLDER, Seen, counts, digest_of_listing, look, scan
from axbuild.workspace.rule import Rule
from axbuild.workspace.stage import Stage
from axbuild.workspace.tables import Tables
from axbuild.workspace.verb import BUILT_IN, Verb

STANDARD = "_axbuild_standard_rules"
"""under this name the package of the standard rules that were loaded last can be found in sys.modules"""


class RuleFileFailed(AxError):
    code = "AX113"


@dataclass(frozen=True)
class LoadedVerb:
    """A verb, and the rule files among which a reference that begins with "./" is looked for."""

    verb: Verb
    folder: _RuleFolder

    def function(self) -> Callable[..., int | None]:
        """What the verb runs, imported now; RuleFileFailed where there is no such function."""
        name = self.verb.module
        module = self.folder.load(name[2:-3]) if name.startswith("./") else importlib.import_module(name)
        found = getattr(module, self.verb.function, None)
        if not callable(found):
            raise RuleFileFailed(f"verb '{self.verb.name}': {name} has no function '{self.verb.function}'")
        return cast("Callable[..., int | None]", found)


@dataclass(frozen=True)
class RulePack:
    """Every rule and verb by name, every declared stage by reference, and the digest of the files they stand in."""

    rules: dict[str, Rule] = field(default_factory=dict)
    stages: dict[str, Stage] = field(default_factory=dict)
    verbs: dict[str, LoadedVerb] = field(default_factory=dict)
    digest: str = ""
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
    return _load(own, b"")


def load_verbs(own: Path | None) -> dict[str, LoadedVerb]:
    """The verbs alone: of the standard rule files, those that do not name the class are not imported."""
    return _load(own, b"Verb(").verbs


def _load(own: Path | None, word: bytes) -> RulePack:
    """word: what a standard rule file must hold to be imported."""
    pack, digest = RulePack(), hashlib.sha256()
    for path in (standard_folder(), own):
        if path is None:
            continue
        pack.seen[path] = Seen(look(str(path)), time.time_ns(), digest_of_listing(scan(str(path))))
        if not (found := rule_files(path)):
            continue
        texts: dict[Path, bytes] = {}
        for file in _python_below(path, pack.seen):
            before, taken_ns = look(str(file)), time.time_ns()
            texts[file] = file.read_bytes()
            pack.seen[file] = Seen(before, taken_ns, hashlib.sha256(texts[file]).digest())
        folder = _RuleFolder(path, texts)
        digest.update(folder.digest)
        for file in found:
            if path == own or word in texts[file]:
                _collect(file, folder, pack)
        for tables in folder.tables():
            digest.update(tables.digest)
            pack.seen.update(tables.seen)
    for name in sorted({name for rule in pack.rules.values() if rule.expansion for name in rule.expansion.code}):
        digest.update(_code_of(name, pack.seen))
    return replace(pack, digest=digest.hexdigest())


def _code_of(package: str, seen: dict[Path, Seen]) -> bytes:
    """The digest of a package of axbuild's own that rules expand with; its files are noted in `seen`."""
    whole, folder = hashlib.sha256(), Path(axbuild.__file__).parent.joinpath(*package.split(".")[1:])
    for path in _python_below(folder, seen):
        before, taken_ns, text = look(str(path)), time.time_ns(), path.read_bytes()
        seen[path] = Seen(before, taken_ns, hashlib.sha256(text).digest())
        whole.update(path.name.encode() + b"\0" + hashlib.sha256(text).digest())
    return whole.digest()


def _python_below(folder: Path, seen: dict[Path, Seen]) -> list[Path]:
    """Every module that a rule file may import relatively; the folders they stand in are noted in `seen`."""
    found, todo = [], [folder]
    while todo:
        here = todo.pop()
        before, taken_ns, names = look(str(here)), time.time_ns(), scan(str(here))
        seen[here] = Seen(before, taken_ns, digest_of_listing(names))
        for name, kind in names.items():
            if kind == FOLDER and counts(name):
                todo.append(here / name)
            elif kind == FILE and counts(name) and name.endswith(".py"):
                found.append(here / name)
    return sorted(found)


class _RuleFolder(SourceFileLoader):
    """A package of rule files, made of exactly the bytes that were hashed: bytecode kept under time stamps could be
    older than an edit."""

    def __init__(self, folder: Path, texts: dict[Path, bytes]) -> None:
        local = hashlib.sha256()
        for path, text in texts.items():
            local.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(text).digest())
        self.digest, self._folder = local.digest(), folder
        self._package = f"{RULE_MODULES}{local.hexdigest()[:16]}"
        super().__init__(self._package, "")
        self._files = {self._module(path): (str(path), text) for path, text in texts.items()}
        holder = sys.modules.setdefault(self._package, ModuleType(self._package))
        # Without a path, a module that was not hashed is none; a rule may import those that were when it is laid out.
        holder.__path__ = []
        sys.meta_path[:] = [one for one in sys.meta_path if getattr(one, "_package", "") != self._package]
        sys.meta_path.insert(0, self)
        if folder == standard_folder():
            sys.modules[STANDARD] = holder

    def _module(self, path: Path) -> str:
        parts = path.relative_to(self._folder).with_suffix("").parts
        return ".".join([self._package, *(parts[:-1] if parts[-1] == "__init__" else parts)])

    def load(self, stem: str) -> ModuleType:
        """The module of one file; RuleFileFailed, with the line, for whatever its author did wrong."""
        path = self._folder / f"{stem}.py"
        try:
            with confined(self._folder):
                return importlib.import_module(f"{self._package}.{stem}")
        except Unwatched as asked:
            place = raised_in(self._folder, asked) or Place(_shown(path))
            raise RuleFileFailed(f"cannot be loaded: it {asked}", place=place, hint=asked.hint) from None
        except SyntaxError as error:
            place = Place(_shown(path), error.lineno or 0, (error.text or "").strip())
            raise RuleFileFailed(f"not valid Python: {error.msg}", place=place) from error
        except AxError:
            raise
        except (Exception, SystemExit) as error:  # whatever a rule file raises is its author's to read
            place = raised_in(path, error) or Place(_shown(path))
            raise RuleFileFailed(f"cannot be loaded: {type(error).__name__}: {error}", place=place) from error

    def tables(self) -> list[Tables]:
        """What the loaded modules read beside themselves, in the order of their names."""
        modules = sorted(name for name in sys.modules if name in self._files)
        return [value for name in modules for value in vars(sys.modules[name]).values() if isinstance(value, Tables)]

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname in self._files:
            file = self._files[fullname][0]
            inside: list[str] | None = [] if file.endswith("/__init__.py") else None
            return spec_from_file_location(fullname, file, loader=self, submodule_search_locations=inside)
        if any(known.startswith(f"{fullname}.") for known in self._files):
            return ModuleSpec(fullname, None, is_package=True)  # a folder without an __init__ of its own
        return None

    def is_package(self, fullname: str) -> bool:
        return self._files[fullname][0].endswith("/__init__.py")

    def get_code(self, fullname: str) -> CodeType:
        path, text = self._files[fullname]
        return compile(text, path, "exec", dont_inherit=True)


def raised_in(path: Path, error: BaseException) -> Place | None:
    """The last line of the rule file `path`, or of any below the folder `path`, on the way to an exception."""
    import traceback  # for errors alone

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path in (Path(frame.filename), *Path(frame.filename).parents)]
    return Place(_shown(Path(own[-1].filename)), own[-1].lineno or 0, own[-1].line or "") if own else None


def _collect(path: Path, folder: _RuleFolder, pack: RulePack) -> None:
    module = folder.load(path.stem)
    for value in vars(module).values():
        if isinstance(value, Rule) and value.module == module.__name__:
            if value.name in pack.rules:
                raise _bad(path, f"rule '{value.name}' is declared already")
            pack.rules[value.name] = value
        elif isinstance(value, Stage):
            _check_ref("stage", value.ref, path)
            if pack.stages.setdefault(value.ref, value) != value:
                raise _bad(path, f"stage {value.ref} is declared already, with other properties")
        elif isinstance(value, Verb):
            _check_ref("verb", value.ref, path)
            if value.name in BUILT_IN:
                raise _bad(path, f"verb '{value.name}' is axbuild's own")
            if pack.verbs.setdefault(value.name, LoadedVerb(value, folder)).verb != value:
                raise _bad(path, f"verb '{value.name}' is declared already")


def _check_ref(what: str, ref: str, path: Path) -> None:
    module, _, function = ref.partition(":")
    if not module or not function.isidentifier():
        raise _bad(path, f"{what} '{ref}' must read package.module:function or ./file.py:function")
    if module.startswith("./") and not (path.parent / module).is_file():
        raise _bad(path, f"{what} {ref}: there is no {module[2:]} beside this file")


def _bad(path: Path, sentence: str) -> RuleFileFailed:
    return RuleFileFailed(sentence, place=Place(_shown(path)))


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
