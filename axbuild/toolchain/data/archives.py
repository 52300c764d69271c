"""The files of a data set, from a folder, loose files or an archive; an archive is never unpacked to disk.

Everything an archive states about itself is checked before the first byte of a member is used: names that leave
the archive, links and devices, duplicates, sizes and counts beyond reason.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from axbuild.errors import AxError
from axbuild.toolchain.door import door

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 2**30
MAX_TOTAL_BYTES = 2**36
MAX_RATIO = 200
"""uncompressed bytes to compressed ones; deflate reaches 1032, photographs and arrays a few"""
FREE_BYTES = 2**26
"""uncompressed bytes of an archive below which its ratio does not matter"""
MAX_READ = 2**24
"""bytes of one read while the members are listed: a header that asks for more is a bomb"""

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_OTHER_ARCHIVES = (".7z", ".rar", ".gz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".lz4", ".lzma")


class UnsafeArchiveError(AxError):
    """An archive whose members would leave it, are not plain files, or are larger than reason allows."""

    code = "AX331"


class BrokenArchiveError(AxError):
    """A file named like an archive that cannot be read as one."""

    code = "AX332"


@dataclass(frozen=True)
class Member:
    """One plain file of a data set: its path inside the set, its size in bytes, its content on demand, its archive."""

    name: str
    size: int
    read: Callable[[], bytes]
    archive: str = ""

    @property
    def path(self) -> str:
        """What errors call it: its archive stands for a folder."""
        return f"{self.archive}/{self.name}" if self.archive else self.name


@contextmanager
def members(source: Path) -> Iterator[list[Member]]:
    """The files below the folder `source`, or those of the one archive in it; sorted by name, hidden files left out.

    They can be read while the context is open. Raises UnsafeArchiveError or BrokenArchiveError naming the archive
    and the member.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file())
    archives = [path for path in files if path.name.lower().endswith(_ARCHIVES)]
    with ExitStack() as stack:
        other = [path for path in files if path.name.lower().endswith(_OTHER_ARCHIVES) and path not in archives]
        if other:
            raise BrokenArchiveError(
                f"{other[0].name} is an archive of a kind that is not read",
                hint=f"pack its files as {', '.join(_ARCHIVES[:-1])} or {_ARCHIVES[-1]}, or give them as a folder",
            )
        if not archives:
            found = [_loose(path, source) for path in files]
        elif len(files) > 1:
            raise BrokenArchiveError(
                f"a data set is one archive or loose files; {archives[0].name} stands among {len(files)} files"
            )
        else:
            found = _of_zip(files[0], stack) if files[0].name.lower().endswith(".zip") else _of_tar(files[0], stack)
        yield sorted((item for item in found if not _hidden(item.name)), key=lambda item: item.name)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _loose(path: Path, source: Path) -> Member:
    return Member(path.relative_to(source).as_posix(), path.stat().st_size, path.read_bytes)


class _Rules:
    """What every archive's list of members is held against, member by member."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive.name
        self.limit = min(max(FREE_BYTES, archive.stat().st_size * MAX_RATIO), MAX_TOTAL_BYTES)
        self.seen: set[str] = set()
        self.total = 0
        self.count = 0

    def accept(self, name: str, size: int, *, plain: bool, folder: bool) -> str:
        """The member's normal name; raises UnsafeArchiveError."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or name[1:2] == ":":
            raise UnsafeArchiveError(f"{self.archive} has a member '{name}', whose name leads out of the archive")
        if not name.isprintable():
            raise UnsafeArchiveError(f"{self.archive} has a member {name!r}, whose name is not plain text")
        if not plain and not folder:
            raise UnsafeArchiveError(f"{self.archive} has a member '{name}' that is a link or a device, not a file")
        self.count += 1
        self.total += 0 if folder else size
        if self.count > MAX_MEMBERS:
            raise UnsafeArchiveError(f"{self.archive} has more than {MAX_MEMBERS} members")
        if size > MAX_MEMBER_BYTES:
            raise UnsafeArchiveError(
                f"{self.archive} has a member '{name}' of {size} bytes; {MAX_MEMBER_BYTES} are allowed"
            )
        if self.total > self.limit:
            raise UnsafeArchiveError(
                f"{self.archive} unpacks to more than {self.limit} bytes, beyond reason for its size"
            )
        normal = path.as_posix()
        if normal in self.seen and not folder:
            raise UnsafeArchiveError(f"{self.archive} has two members named '{normal}'")
        self.seen.add(normal)
        return normal


def _of_zip(archive: Path, stack: ExitStack) -> list[Member]:
    rules = _Rules(archive)
    found = []
    with door(lambda said: BrokenArchiveError(f"{archive.name} is not a readable zip archive: {said}")):
        opened = stack.enter_context(zipfile.ZipFile(archive))
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            plain = kind in (0, stat.S_IFREG) and not info.is_dir()
            name = rules.accept(info.filename, info.file_size, plain=plain, folder=info.is_dir())
            if info.flag_bits & 1:
                raise BrokenArchiveError(f"member '{name}' of {archive.name} is encrypted")
            if plain:
                found.append(Member(name, info.file_size, _zip_reader(archive.name, opened, info), archive.name))
    return found


def _zip_reader(archive: str, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        told = f"member '{info.filename}' of {archive} is damaged"
        with door(lambda said: BrokenArchiveError(f"{told}: {said}")), opened.open(info) as stream:
            content = stream.read(info.file_size + 1)
        if len(content) != info.file_size:
            raise BrokenArchiveError(f"member '{info.filename}' of {archive} is not of the size it states")
        return content

    return read


class _Bounded(io.RawIOBase):
    """A stream that refuses reads of absurd length: tar reads whole extended headers at the length they state."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile) -> None:
        self.stream = stream
        self.latest = b""

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or size > MAX_READ:
            raise tarfile.ReadError(f"a header asks for {size} bytes")
        self.latest = self.stream.read(size)
        return self.latest

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()


def _of_tar(archive: Path, stack: ExitStack) -> list[Member]:
    rules = _Rules(archive)
    found = []
    compressed = not archive.name.lower().endswith(".tar")
    file = stack.enter_context(archive.open("rb"))
    stream = _Bounded(stack.enter_context(gzip.GzipFile(fileobj=file)) if compressed else file)
    told = f"{archive.name} is not a readable tar archive"
    with (
        door(lambda said: BrokenArchiveError(f"{told}: {said}")),
        tarfile.open(fileobj=stream, mode="r:") as opened,
    ):
        for info in opened:
            plain = info.isreg() and not info.issparse()
            name = rules.accept(info.name, info.size, plain=plain, folder=info.isdir())
            if plain:
                found.append(Member(name, info.size, _tar_reader(archive.name, stream, info), archive.name))
        _refuse_cut(archive.name, stream.latest, opened.offset)
    return found


def _refuse_cut(archive: str, block: bytes, end: int) -> None:
    """Raise BrokenArchiveError where the list of members ends at something else than a block of zeros: `tarfile` takes
    a header that is cut off or damaged behind the first one for the end, and leaves out what follows.

    block: what was read at byte `end`, behind the last member.
    """
    if len(block) < tarfile.BLOCKSIZE:
        raise BrokenArchiveError(
            f"{archive} is cut off: the block of zeros that ends a tar archive is not there",
            hint="copy or pack it again; what is missing cannot be told",
        )
    if any(block):
        raise BrokenArchiveError(f"{archive} is damaged: what stands at byte {end} begins no member")


def _tar_reader(archive: str, bounded: _Bounded, info: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with door(lambda said: BrokenArchiveError(f"member '{info.name}' of {archive} is damaged: {said}")):
            bounded.seek(info.offset_data)
            content = bounded.stream.read(info.size)
        if len(content) != info.size:
            raise BrokenArchiveError(f"{archive} is cut off inside member '{info.name}'")
        return content

    return read
