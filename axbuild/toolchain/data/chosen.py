"""Which files of a data set are its samples, and what each is called."""

from __future__ import annotations

import warnings
from hashlib import sha256
from os.path import commonpath
from pathlib import PurePosixPath

from axbuild.errors import AxError, AxWarning, counted
from axbuild.toolchain.data import arrays, images
from axbuild.toolchain.data.archives import Member

LONGEST = 200
"""bytes of a sample's name; file systems take 255 for a file's"""
_SUFFIXES = {
    "Image": images.SUFFIXES,
    "Numpy": arrays.SUFFIXES,
    "Binary": arrays.BINARY_SUFFIXES,
    "NumpyObject": arrays.SUFFIXES,
}


class CalibrationSetError(AxError):
    """A set without samples, with samples of another format or of one name twice, or for an input that is not there."""

    code = "AX335"


def chosen(found: list[Member], kind: str, size: int) -> list[tuple[str, Member]]:
    """(sample name, file) of the first `size` samples by name, of all where it is -1; kind: of `_SUFFIXES`."""
    own = [item for item in found if item.name.lower().endswith(_SUFFIXES[kind])]
    taken = {id(item) for item in own}
    others = [item for item in found if id(item) not in taken]
    for item in others:
        for other, suffixes in _SUFFIXES.items():
            if item.name.lower().endswith(suffixes):
                raise CalibrationSetError(
                    f"'{item.path}' is of format {other} and the set is of format {kind}",
                    hint="a calibration set holds samples of one format",
                )
    if not own:
        raise CalibrationSetError(
            f"the calibration set has no sample of format {kind} among {counted(len(found), 'file')}",
            hint=f"such as '{others[0].path}'; samples end in {', '.join(_SUFFIXES[kind])}" if others else "",
        )
    if others:
        sentence = (
            f"a calibration set has {counted(len(others), 'file')} that are no samples and left out, "
            f"such as '{others[0].path}'"
        )
        warnings.warn(AxWarning("AX336", sentence), stacklevel=2)
    return _named(own)[: size if size >= 0 else None]


def _named(found: list[Member]) -> list[tuple[str, Member]]:
    """Samples by the name of their file alone, in whatever folder it stands: inputs are paired by it. Where names
    repeat, as in a folder a class, by the names of the folders too."""
    plain = [PurePosixPath(item.name).with_suffix("").parts for item in found]
    whole = len({parts[-1] for parts in plain}) < len(plain)
    shared = len(PurePosixPath(commonpath(["/".join(parts[:-1]) for parts in plain])).parts) if whole else 0
    named: dict[str, Member] = {}
    for item, parts in zip(found, plain, strict=True):
        name = _fitting("__".join(parts[shared:])) if whole else parts[-1]
        if name in named:
            raise CalibrationSetError(f"'{named[name].path}' and '{item.path}' are samples of one name")
        named[name] = item
    return sorted(named.items())


def _fitting(name: str) -> str:
    """The name, or of one that is too long for a file its end and what tells it apart."""
    content = name.encode()
    if len(content) <= LONGEST:
        return name
    return f"{sha256(content).hexdigest()[:16]}__{content[-LONGEST // 2 :].decode(errors='ignore')}"
