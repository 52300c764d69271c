"""The workspace in which `pulsar2 build` builds: hidden below work_dir, with the targets that a config means.

It is an ordinary one: `axbuild why` and `axbuild build` work in it. Its inputs are links to where the user has them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from axbuild.codes import USER_ERROR
from axbuild.errors import AxError, Place
from axbuild.report.build_file import build_text, toml_text
from axbuild.store.fetch import shown
from axbuild.store.reading import StoreReader
from axbuild.toolchain.pulsar2.checks import QUANTISED
from axbuild.toolchain.pulsar2.message import Message
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.tables import BuildTable, tables
from axbuild.workspace.address import UnpinnedAddress, pinned, the_address
from axbuild.workspace.artifact import Remote
from axbuild.workspace.attributes import Companions, did_you_mean
from axbuild.workspace.disk import RealDisk
from axbuild.workspace.workspace import NoWorkspace, Workspace

from ._external_data import external_data_files
from .quant_axmodel import quantised_files

HIDDEN = ".axbuild"
SETTINGS, BUILD, INPUTS = "axbuild.toml", "BUILD.toml", "inputs"
EVENTS = "events.jsonl"
"""in the hidden workspace: what happened in its last build"""
TARGET = "model"
"""of the axmodel; the others have it in front"""
QUANT = f"{TARGET}_quant"
READ_FROM = "cache.read_from"
"""the setting that is a path"""

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://")
DATASET = "calibration_dataset"
"""the one field that may be an address"""
_GLOB = re.compile(r"[*?\[]")

C = TypeVar("C", bound=Message)


class NoInputError(AxError):
    code = "AX541"

    def __init__(self, what: str, path: str) -> None:
        folder = Path(path).parent
        beside = [one.name for one in folder.iterdir()] if folder.is_dir() else []
        super().__init__(f"{what}: there is no '{path}'", hint=did_you_mean(Path(path).name, beside))


class FolderError(AxError):
    code = "AX542"


class AddressError(AxError):
    """An address where a configuration takes none, or of a kind that nothing is fetched from."""

    code = "AX598"


@dataclass
class Links:
    """link below the workspace -> what it leads to."""

    found: dict[str, Path] = field(default_factory=dict)

    def model(self, path: str, belonging: Companions) -> str:
        """The model under its own name, what belongs to it beside it."""
        file = _existing("input", path)
        if file.is_dir():
            raise NoInputError("input", f"{path}/*.onnx")
        names = [file.name, *belonging(RealDisk(str(file.parent)), file.name)]
        self.found |= {f"inputs/model/{name}": file.parent / name for name in names}
        return f"inputs/model/{file.name}"

    def data(self, what: str, path: str) -> str:
        """A file, a folder or a glob."""
        if is_address(path):
            sentence = f"{what} takes files of this machine, and '{shown(path)}' is an address"
            raise AddressError(sentence, hint=f"fetch it first; {DATASET} may be an address")
        where = f"inputs/{len(self.found)}"
        if _GLOB.search(path) and not Path(path).exists():
            literal = next(folder for folder in Path(path).parents if not _GLOB.search(str(folder)))
            self.found[where] = _existing(what, str(literal))
            return f"{where}/{Path(path).relative_to(literal)}"
        file = _existing(what, path)
        link = where if file.is_dir() else f"{where}/{file.name}"
        self.found[link] = file
        return link


def pinned_address(path: str) -> Remote:
    """The address that a data set is fetched from; raises AxError, in terms of the configuration."""
    try:
        found = the_address([path])
        if found is None:
            scheme = path.partition("://")[0]
            raise AddressError(f"nothing is fetched from {scheme}://", hint="https://, http:// and s3:// addresses are")
        return pinned(found, "")
    except UnpinnedAddress as error:
        hint = f"{shown(path)}#sha256=...: `curl -L ADDRESS | sha256sum` says what it is now"
        raise AxError(f"{DATASET}: {error.sentence}", hint=hint, code=error.code) from None
    except AxError as error:
        raise AxError(f"{DATASET}: {error.sentence}", hint=error.hint, code=error.code) from None


def _existing(what: str, path: str) -> Path:
    if not Path(path).exists():
        raise NoInputError(what, path)
    return Path(os.path.realpath(path)) if Path(path).is_dir() else Path(path).absolute()


def is_address(path: str) -> bool:
    return _REMOTE.match(path) is not None


def linked(config: BuildConfig, links: Links) -> BuildConfig:
    """The configuration with its paths as they are in the workspace; an error about one stands where it is set."""
    quant, compiler = config.quant, config.compiler
    belonging = quantised_files if config.model_type == QUANTISED else external_data_files
    with _placed(config.places.get("input")):
        model = links.model(str(config.input), belonging)
    return replace(
        config,
        input=model,
        quant=replace(
            _moved(quant, "input_sample_dir", "quant.input_sample_dir", links),
            input_configs=_each(quant.input_configs, DATASET, DATASET, links),
        ),
        compiler=replace(
            _moved(compiler, "input_sample_dir", "compiler.input_sample_dir", links),
            sub_configs=_each(compiler.sub_configs, "input_sample_dir", "compiler.sub_configs.input_sample_dir", links),
        ),
        const_processors=_each(config.const_processors, "data_path", "const_processors.data_path", links),
    )


def _each(messages: tuple[C, ...] | None, name: str, what: str, links: Links) -> tuple[C, ...] | None:
    return None if messages is None else tuple(_moved(one, name, what, links) for one in messages)


def _moved(message: C, name: str, what: str, links: Links) -> C:
    path = getattr(message, name)
    if not path:
        return message
    place = message.places.get(name)
    if place and is_address(path):
        place = place._replace(text="")  # where a secret may stand
    with _placed(place):
        if name == DATASET and is_address(path):
            pinned_address(path)
            return message
        changed: dict[str, Any] = {name: links.data(what, path)}
    return replace(message, **changed)


@contextmanager
def _placed(place: Place | None) -> Iterator[None]:
    try:
        yield
    except AxError as error:
        error.place = error.place or place
        raise


@dataclass(frozen=True)
class Surroundings:
    """cache: where results stand; read_from: another cache to take them from; settings: "section.key" -> value."""

    cache: Path
    read_from: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def overrides(self) -> dict[str, Any]:
        """The caches, which count whatever the environment says: its paths are relative to where the user is."""
        beyond = {} if self.read_from is None else {READ_FROM: str(self.read_from)}
        return {"cache.dir": str(self.cache)} | beyond

    def text(self) -> str:
        """As axbuild.toml has them."""
        sections: dict[str, list[str]] = {}
        for name, value in (self.settings | self.overrides).items():
            section, _, key = name.partition(".")
            sections.setdefault(section, []).append(f"{key} = {toml_text(value)}\n")
        return "".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


@dataclass(frozen=True)
class Prepared:
    """A workspace that nothing is written of yet."""

    root: Path
    tables: list[BuildTable]
    links: dict[str, Path]
    around: Surroundings

    @property
    def cache(self) -> Path:
        return self.around.cache

    @property
    def store(self) -> StoreReader:
        """What its builds have made."""
        return StoreReader(self.around.cache, self.around.read_from)

    @property
    def labels(self) -> tuple[str, ...]:
        """What is asked for: the compiled model, and every target with a verdict or a table of its own."""
        wanted = {"axmodel", "check", "io_data", "precision_analysis"}
        checked = [one for rule, one in self.tables if rule == "float_model" and _hands_over(one)]
        named = [one["name"] for rule, one in self.tables if rule in wanted]
        return tuple(f"//:{name}" for name in (*named, *(one["name"] for one in checked)))


def _hands_over(float_model: dict[str, Any]) -> bool:
    return bool(float_model.get("model_check") or float_model.get("save_tensors_data"))


def prepared(config: BuildConfig) -> Prepared:
    """What a resolved configuration builds in, with every path looked at."""
    links = Links()
    found = tables(linked(config, links), TARGET)
    if any(rule == "quant_model" for rule, _ in found):
        found.append(("io_data", {"name": f"{TARGET}_io", "quant": f":{QUANT}"}))
    root = Path(config.work_dir or str(config.output_dir)) / HIDDEN
    return Prepared(root.absolute(), found, links.found, surroundings())


def surroundings() -> Surroundings:
    """Of the workspace around the current folder: its cache, and what else its axbuild.toml says of how builds run;
    what it says of targets is the configuration's to say. Elsewhere a cache of the user's own."""
    try:
        around = Workspace.find(Path.cwd())
    except NoWorkspace:
        named = os.environ.get("AXBUILD_CACHE_DIR")
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Surroundings(Path(named or Path(home).expanduser() / "axbuild").absolute())
    of_the_build = {key: value for key, value in around.settings.written.items() if not key.startswith("toolchain.")}
    return Surroundings(around.cache_dir, around.read_from, of_the_build)


@contextmanager
def written(workspace: Prepared) -> Iterator[list[int]]:
    """The workspace on disk. What it yields takes the build's exit code: where that says that the user's input cannot
    be built, folders that were not there before go again, and what an earlier build had written stands there as it
    did."""
    new, before = _first_missing(workspace.root), _Before.of(workspace.root)
    code: list[int] = []
    try:
        with told_as_folder_errors(workspace.root):
            _write(workspace)
        yield code
    finally:
        if not code or code[-1] == USER_ERROR:
            if new is not None:
                shutil.rmtree(new, ignore_errors=True)
            else:
                before.put_back()


@dataclass(frozen=True)
class _Before:
    """What a workspace held. files: name -> content, None where there was none; links: below `inputs`."""

    root: Path
    files: dict[str, bytes | None]
    links: dict[str, Path]

    @classmethod
    def of(cls, root: Path) -> _Before:
        with told_as_folder_errors(root):
            names = (SETTINGS, BUILD, EVENTS)
            files = {name: (root / name).read_bytes() if (root / name).is_file() else None for name in names}
            found = (path for path in (root / INPUTS).rglob("*") if path.is_symlink())
            return cls(root, files, {str(path.relative_to(root)): path.readlink() for path in found})

    def put_back(self) -> None:
        with told_as_folder_errors(self.root):
            for name, content in self.files.items():
                if content is None:
                    (self.root / name).unlink(missing_ok=True)
                elif (self.root / name).read_bytes() != content:
                    (self.root / name).write_bytes(content)
            _link(self.root, self.links)


@contextmanager
def told_as_folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error


def _first_missing(folder: Path) -> Path | None:
    """The uppermost folder on the way to `folder` that is not there."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    return missing[-1] if missing else None


def _write(workspace: Prepared) -> None:
    root = workspace.root
    root.mkdir(parents=True, exist_ok=True)
    _put(root / SETTINGS, f"# Written by `pulsar2 build`.\n{workspace.around.text()}")
    _put(root / BUILD, build_text(workspace.tables))
    _link(root, workspace.links)


def _link(root: Path, links: Mapping[str, Path]) -> None:
    """Have these links below `inputs`, and no others."""
    shutil.rmtree(root / INPUTS, ignore_errors=True)
    for link, target in links.items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)


def _put(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
