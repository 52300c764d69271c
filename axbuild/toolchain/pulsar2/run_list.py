"""The runs that one call of `pulsar2 run` asks for: one, or one a line of a list file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from axbuild.errors import HIDDEN, AxError, Place
from axbuild.toolchain.plain_file import read_plain

WHOLE = "."
"""the label of the one run without a list, whose files lie in the folders themselves"""


class RunListError(AxError):
    """AX575: a list of runs that cannot be read, or a line of it that names no folder below."""

    code = "AX575"


@dataclass(frozen=True)
class OneRun:
    """label: the line of the list; inputs, outputs: its folders."""

    label: str
    inputs: Path
    outputs: Path


def runs_of(list_file: Path | None, input_dir: Path, output_dir: Path) -> list[OneRun]:
    """In the order of the list, whose blank lines say nothing; raises RunListError at the line at fault."""
    if list_file is None:
        return [OneRun(WHOLE, input_dir, output_dir)]
    found: dict[PurePosixPath, int] = {}
    runs = []
    for number, line in enumerate(_lines(list_file), start=1):
        label = line.strip()
        if not label:
            continue
        place = Place(str(list_file), number, label)
        path = _checked(label, output_dir, place)
        if path in found:
            raise RunListError(f"the list names '{label}' a second time, after line {found[path]}", place=place)
        found[path] = number
        runs.append(OneRun(label, input_dir / path, output_dir / path))
    if not runs:
        raise RunListError(f"the list {list_file} names no run", hint="each line is a folder below --input_dir")
    return runs


def _lines(list_file: Path) -> list[str]:
    try:
        return read_plain(list_file).decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise RunListError(f"the list {list_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RunListError(f"the list {list_file} is no text in UTF-8") from None


def _checked(label: str, output_dir: Path, place: Place) -> PurePosixPath:
    """The folder that a line names, which must be one below."""
    path, windows = PurePosixPath(label), PureWindowsPath(label)
    if path.is_absolute() or windows.drive or windows.root:
        raise RunListError(f"a line of a list is a folder below --input_dir, and '{label}' is absolute", place=place)
    if ".." in path.parts or ".." in windows.parts or HIDDEN.search(label):
        raise RunListError(f"a line of a list is a folder below --input_dir, and '{label}' is none", place=place)
    whole = output_dir.resolve()
    if not (whole / path).resolve().is_relative_to(whole):
        raise RunListError(f"'{label}' is a link that leads out of {output_dir}", place=place)
    return path
