"""Paths that `pulsar2 build` is given, looked at before anything is written or built."""

from __future__ import annotations

from dataclasses import dataclass, field
from errno import ENOENT, ENOTDIR
from pathlib import Path

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.checks import OTHER_PRODUCTS
from axbuild.toolchain.pulsar2.marked import shortened
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.workspace.attributes import Companions

from ._pulsar2_workspace import FolderError, Links, linked

_ABSENT = (ENOENT, ENOTDIR)
"""of a path that is not there, which is told with the names that are"""


@dataclass
class NamedPaths(Links):
    """(field, path) of every input that is named; paths stay as they are."""

    given: list[tuple[str, str]] = field(default_factory=list)

    def model(self, path: str, belonging: Companions) -> str:
        return self.data("input", path)

    def data(self, what: str, path: str) -> str:
        self.given.append((what, path))
        return path


class UnreadableInputError(AxError):
    code = "AX541"

    def __init__(self, what: str, path: str, reason: str) -> None:
        super().__init__(f"{what}: '{shortened(path)}' cannot be read: {reason}")


def refuse_paths(config: BuildConfig, config_file: str = "") -> None:
    """Raise UnreadableInputError of what cannot be looked at, and FolderError of an output_dir where the products have
    no place, or where one would overwrite what it is built from."""
    named = NamedPaths()
    linked(config, named)
    given = [("--config", config_file), *named.given]
    for what, path in given:
        _refuse_input(what, path)
    for what, folder in (("output_dir", config.output_dir), ("work_dir", config.work_dir)):
        if folder:
            _refuse_folder(what, folder)
    out = Path(str(config.output_dir))
    built = out / (config.output_name or "compiled.axmodel")
    for what, path in given:
        if path and built.is_file() and Path(path).is_file() and built.samefile(path):
            raise FolderError(
                f"{built} would be overwritten, and it is what {what} names", hint="--output_name gives another name"
            )
    if built.is_dir():
        raise FolderError(f"{built} is a folder, and the compiled model is to be written there")
    for name in OTHER_PRODUCTS:
        own = out / name
        if name.endswith(".json") and own.is_dir():
            raise FolderError(f"{own} is a folder, and a file is to be written there")
        if not name.endswith(".json") and own.exists() and not own.is_dir():
            raise FolderError(f"{own} is a file, and products are to be written below a folder of that name")


def _refuse_input(what: str, path: str) -> None:
    try:
        Path(path).stat()
    except OSError as error:
        if error.errno not in _ABSENT:
            raise UnreadableInputError(what, path, str(error.strerror)) from None
        if Path(path).is_symlink():
            raise UnreadableInputError(what, path, "the link leads to no file") from None
    except ValueError:  # a zero byte, which no path has: it is told as what is not there
        return


def _refuse_folder(what: str, path: str) -> None:
    try:
        Path(path).stat()
    except OSError as error:
        if error.errno not in _ABSENT:
            raise FolderError(f"{what}: '{shortened(path)}' cannot be written: {error.strerror}") from None
    except ValueError:
        raise FolderError(f"{what}: '{path}' holds a zero byte, and no path does") from None
