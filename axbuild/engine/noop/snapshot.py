"""The no-op: what a build looked at, in one file, so that the next one like it has only to compare.

A snapshot belongs to one request (verb, targets, configurations), folder, environment and machine. It holds the stat
signature and digest of everything the answer rests on: every BUILD, settings and rule file, every source, every
folder that was walked or found without a BUILD file, the code of the stages, the folders of installed distributions,
and the outputs. Where all of that is unchanged, the answer is the one stored beside it. A signature that differs, or
is too young to tell, is settled by digest; what then still differs is the full path's to judge.

This module is all that a no-op imports: no typing, dataclasses, json, pathlib, msgpack. Flat arrays are read faster
than msgpack lists of lists (8,000 actions: 1.5 ms against 4, and 3.5 to import it), and need but a memoryview.
"""

from __future__ import annotations

import os
import sys
import time

import xxhash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from axbuild.engine.noop.edits import Edits

MAGIC = b"axbuild-snapshot/3\n"
SETTINGS_FILE = "axbuild.toml"
FOLDER = "axbuild-out/.axbuild/.snapshots"
"""Hidden, as no package can be: the lists of outputs stand beside it, by package"""
OFF = "_AXBUILD_NO_SNAPSHOT"
"""an environment variable of tests: look at nothing, write nothing"""

FILE, LISTING, ABSENT = 0, 1, 2
"""what stands at a path: a file by its bytes, a folder by the names in it, nothing"""
LOADED, SOURCE, OUTPUT = 0, 4, 8
"""what it is to the build: read to lay the graph out (or code), a source, an output handed over"""
YOUNG = 16
"""its signature was too young to stand for one content"""
LAID = 32
"""the workspace's own text or folder, which is no code: what was laid out by it can be laid out again"""
KINDS, ROLES = 3, 12

YOUNG_NS = 2_000_000_000
"""as in the stat cache, which is too heavy to import"""
USED_EVERY_SECONDS = 24 * 3600
FORK_FROM = 4_000
"""paths that take another process longer to look at than to begin"""
_DIGEST, _FIELDS = 32, 4
_STAT = 8 * _FIELDS
_TYPE, _PLAIN, _FOLDER = 0o170000, 0o100000, 0o040000
UNKNOWN = bytes(_DIGEST)
SECONDS, BUILD_ID, TIME, JOBS = b"@86d1-seconds@", b"@86d1-id@", b"@86d1-time@", b"@86d1-jobs@"
"""stand in the stored texts for what differs from run to run"""

VERBS = ("build", "test")
KEEP_GOING = ("-k", "--keep_going", "--keep-going")

Signature = tuple[int, ...]


class Words:
    """A command line whose answer may stand in a snapshot, taken apart without click."""

    __slots__ = ("as_json", "configs", "events", "jobs", "keep_going", "quiet", "targets", "verb")

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.targets: list[str] = []
        self.configs: list[str] = []
        self.events = ""
        self.jobs = 0
        self.as_json = False
        self.keep_going = False
        self.quiet = False


def parse(arguments: Sequence[str]) -> Words | None:
    """None for every other verb and for any flag that is not known here to leave the answer as it is."""
    if not arguments or arguments[0] not in VERBS:
        return None
    words = Words(arguments[0])
    rest = iter(arguments[1:])
    for word in rest:
        if not word.startswith("-") or word.startswith(("-//", "-:")):
            words.targets.append(word)
        elif word == "--json":
            words.as_json = True
        elif word in ("-q", "--quiet"):
            words.quiet = True
        elif word in KEEP_GOING:
            words.keep_going = True
        elif not _valued(words, word, rest):
            return None
    return words if words.targets else None


def _valued(words: Words, word: str, rest: Iterable[str]) -> bool:
    flag, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    if flag not in ("--events", "--jobs", "-j", "--config"):
        return False
    value = value if equals else next(iter(rest), "")
    if flag == "--events":
        words.events = value
    elif flag == "--config":
        words.configs.append(value)
    elif value.isascii() and value.isdigit():
        words.jobs = int(value)
    return bool(value) and (flag not in ("--jobs", "-j") or words.jobs > 0)


def identity(words: Words, folder: str) -> str:
    """Names the snapshot: everything the answer depends on that is no file. A restart asks for a new one, since the
    float platform may have changed with it."""
    machine = os.uname()
    parts = [
        *(__file__, sys.version, sys.executable, machine.nodename, machine.machine, _boot(), folder, words.verb),
        "colour" if _may_colour() else "plain",
        *("", *words.targets, "", *words.configs, ""),
        *sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("AXBUILD_")),
    ]
    return str(xxhash.xxh3_128_hexdigest(os.fsencode("\0".join(parts))))


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def root_of(folder: str) -> str:
    """The workspace around a folder, or ""."""
    while not os.path.isfile(f"{folder}/{SETTINGS_FILE}"):
        if folder in ("/", ""):
            return ""
        folder = folder.rpartition("/")[0] or "/"
    return folder


class Snapshot:
    """The file's content. paths: relative to the root, or absolute. stats: four 64-bit integers for each path.

    texts: name -> stored text of the answer. graph: checksum of the file that a partial build needs beside this one
    (`stored`). meaning: msgpack of what the texts meant, read only where one of them changed.
    """

    __slots__ = ("digests", "flags", "graph", "meaning", "paths", "stats", "texts")

    def __init__(
        self,
        paths: list[str],
        stats: bytearray,
        digests: bytearray,
        flags: bytearray,
        texts: dict[str, bytes],
        graph: bytes = b"",
        meaning: bytes = b"",
    ) -> None:
        self.paths, self.stats, self.digests, self.flags = paths, stats, digests, flags
        self.texts, self.graph, self.meaning = texts, graph, meaning

    def put(self, number: int, flags: int, signature: Signature, digest: bytes | bytearray) -> None:
        """Replace what is known of one path."""
        self.stats[number * _STAT : (number + 1) * _STAT] = _packed(signature)
        self.digests[number * _DIGEST : (number + 1) * _DIGEST] = digest
        self.flags[number] = flags

    def append(self, path: str, flags: int, signature: Signature, digest: bytes | bytearray) -> None:
        self.paths.append(path)
        self.stats += _packed(signature)
        self.digests += digest
        self.flags.append(flags)

    def digest(self, number: int) -> bytearray:
        return self.digests[number * _DIGEST : (number + 1) * _DIGEST]

    def encode(self) -> list[bytes | bytearray]:
        """The file's bytes, in pieces, of which some are long."""
        names = "\0".join(self.texts).encode()
        sections: list[bytes | bytearray] = [
            os.fsencode("\0".join(self.paths)),
            self.stats,
            self.digests,
            self.flags,
            self.graph,
            self.meaning,
            names,
        ]
        sections.extend(self.texts.values())
        head = [len(sections), *(len(section) for section in sections)]
        body = [b"".join(length.to_bytes(8, "little") for length in head), *sections]
        checksum = xxhash.xxh3_128()
        for piece in body:
            checksum.update(piece)
        return [MAGIC, checksum.digest(), *body]

    @staticmethod
    def decode(data: bytes) -> Snapshot | None:
        """None for what is damaged, or was written by another version."""
        at = len(MAGIC) + 16
        body = memoryview(data)[at:]
        if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : at] != xxhash.xxh3_128_digest(body):
            return None
        count = int.from_bytes(body[:8], "little")
        sections, at = [], 8 + 8 * count
        for number in range(count):
            size = int.from_bytes(body[8 + 8 * number : 16 + 8 * number], "little")
            sections.append(body[at : at + size])
            at += size
        paths, stats, digests, flags, graph, meaning, names = sections[:7]
        texts = bytes(names).decode().split("\0")
        return Snapshot(
            os.fsdecode(bytes(paths)).split("\0"),
            bytearray(stats),
            bytearray(digests),
            bytearray(flags),
            {name: bytes(text) for name, text in zip(texts, sections[7:], strict=True)},
            bytes(graph),
            bytes(meaning),
        )


def _packed(signature: Signature) -> bytes:
    return b"".join(value.to_bytes(8, sys.byteorder, signed=True) for value in signature)


class Found:
    """What a look at a request's snapshot gave.

    changed: numbers of the paths whose content differs (or cannot be told). fresh: number -> the signature now, of
    paths that changed their signature and not their content, or have come of age; `aged`: those of them that have.
    edits: what changed texts amount to (`edits.settle`).
    """

    __slots__ = ("aged", "began", "changed", "edits", "fresh", "identity", "root", "snapshot", "words")

    def __init__(self, words: Words, root: str, identity: str, began: float) -> None:
        self.words, self.root, self.identity, self.began = words, root, identity, began
        self.snapshot: Snapshot | None = None
        self.changed: list[int] = []
        self.fresh: dict[int, Signature] = {}
        self.aged: list[int] = []
        self.edits: Edits | None = None

    @property
    def file(self) -> str:
        return f"{self.root}/{FOLDER}/{self.identity}"

    @property
    def is_answer(self) -> bool:
        return self.snapshot is not None and not self.changed

    @property
    def changed_sources(self) -> bool:
        """Whether any source of an action differs."""
        snapshot = self.snapshot
        return snapshot is not None and any(snapshot.flags[number] & ROLES == SOURCE for number in self.changed)

    @property
    def lacks_texts(self) -> bool:
        """Whether the answer is asked for in a form that it was never asked for before."""
        asked = bool(self.words.events) or self.words.as_json
        return asked and self.snapshot is not None and "events" not in self.snapshot.texts


def look(arguments: Sequence[str]) -> Found | None:
    """What is known of this command line here; None where it is none that can be known."""
    began = time.perf_counter()
    words = parse(arguments)
    if words is None or OFF in os.environ:
        return None
    try:
        folder = os.getcwd()
    except OSError:
        return None
    root = root_of(folder)
    if not root:
        return None
    found = Found(words, root, identity(words, folder), began)
    try:
        # A FIFO there would block, and a device never end.
        with open(os.open(found.file, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if os.fstat(file.fileno()).st_mode & _TYPE == _PLAIN:
                found.snapshot = Snapshot.decode(file.read())
    except OSError:
        return found
    if found.snapshot is not None:
        if _is_alive(found.snapshot):
            _compare(found, found.snapshot)
        else:
            found.snapshot = None
    return found


def _is_alive(snapshot: Snapshot) -> bool:
    """Whether the store still keeps what the snapshot covers: who collects it unlinks the list of its keys first."""
    path = os.fsdecode(snapshot.texts["keys"])
    try:
        if time.time() - os.stat(path).st_mtime > USED_EVERY_SECONDS:
            os.utime(path)
    except OSError:
        return False
    return True


def _compare(found: Found, snapshot: Snapshot) -> None:
    """Stat everything, relative to the root, which halves the way through the folders."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir(found.root)
    try:
        for number in _suspects(snapshot):
            _settle(found, snapshot, number)
    finally:
        os.fchdir(before)
        os.close(before)


def _suspects(snapshot: Snapshot) -> list[int]:
    """Numbers of the paths that may have changed. Of many, another process looks at half: the system's part in it is
    the most, and the two do not wait for each other."""
    every, half = len(snapshot.paths), len(snapshot.paths) // 2
    if half < FORK_FROM or len(os.sched_getaffinity(0)) < 2:
        return _among(snapshot, 0, every)
    ours, theirs = os.pipe()
    try:
        child = os.fork()
    except OSError:
        child = -1
    if child == 0:
        _look_for_another(snapshot, half, every, theirs)
    os.close(theirs)
    found = _among(snapshot, 0, half)
    with open(ours, "rb") as pipe:
        told = pipe.read().split()
    if child < 0 or os.waitpid(child, 0)[1]:
        return found + _among(snapshot, half, every)
    return found + [int(number) for number in told]


def _look_for_another(snapshot: Snapshot, begin: int, end: int, pipe: int) -> NoReturn:
    """In a process of its own, which ends with 0 where all is told. Ctrl-C is the other's to tell of."""
    code = 1
    try:
        from _signal import SIG_IGN, SIGINT, signal  # type: ignore[import-not-found]  # it has no stubs

        signal(SIGINT, SIG_IGN)
        with open(pipe, "wb") as told:
            told.write(b" ".join(b"%d" % number for number in _among(snapshot, begin, end)))
        code = 0
    finally:
        os._exit(code)


def _among(snapshot: Snapshot, begin: int, end: int) -> list[int]:
    stat, flags = os.stat, snapshot.flags
    expected = iter(memoryview(snapshot.stats).cast("q")[begin * _FIELDS : end * _FIELDS].tolist())
    suspects, number, paths = [], begin - 1, snapshot.paths[begin:end]
    for path, mtime, size, inode, ctime in zip(paths, expected, expected, expected, expected, strict=True):
        number += 1
        try:
            now = stat(path)
        except OSError:
            if flags[number] & KINDS != ABSENT:
                suspects.append(number)
            continue
        if (
            now.st_mtime_ns != mtime
            or now.st_ctime_ns != ctime
            or now.st_ino != inode
            or now.st_size != size
            or flags[number] & YOUNG
            or flags[number] & KINDS == ABSENT
        ):
            suspects.append(number)
    return suspects


def _settle(found: Found, snapshot: Snapshot, number: int) -> None:
    """Decide by digest; the signature is taken before and must be the same after."""
    path, flags = snapshot.paths[number], snapshot.flags[number]
    own = flags & ROLES == OUTPUT
    digest = snapshot.digest(number)
    taken = time.time_ns()
    try:
        before = _signature(path, own)
        same = digest != UNKNOWN and digest_of(path, flags & KINDS) == digest and _signature(path, own) == before
    except OSError:
        same = False
    if not same:
        found.changed.append(number)
        return
    found.fresh[number] = before
    if has_settled(before, taken):
        found.aged.append(number)


def _signature(path: str, own: bool) -> Signature:
    now = os.lstat(path) if own else os.stat(path)
    if now.st_mode & _TYPE not in (_PLAIN, _FOLDER):
        raise OSError("it can only be read for ever, or never")
    if own and (now.st_nlink != 1 or now.st_mode & _TYPE != _PLAIN):
        raise OSError("an output must be a file of its own")
    return now.st_mtime_ns, now.st_size, now.st_ino, now.st_ctime_ns


def has_settled(signature: Signature, taken_ns: int) -> bool:
    return max(signature[0], signature[3]) < taken_ns - YOUNG_NS


def digest_of(path: str, kind: int) -> bytes:
    # Only a look that found something to doubt pays for these imports.
    if kind == LISTING:
        from axbuild.workspace.disk import digest_of_listing, scan

        return digest_of_listing(scan(path), path == ".")
    from pathlib import Path

    from axbuild.store.digests import digest_of_file

    return bytes.fromhex(digest_of_file(Path(path)))


def answer(found: Found) -> int:
    """Say what the build of before would say now; the exit code, which is 0 (nothing else is ever stored)."""
    snapshot = found.snapshot
    assert snapshot is not None
    texts = snapshot.texts
    if found.aged:
        from axbuild.engine.noop.keep import renew

        renew(found, snapshot)
    id_ = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}-{os.getpid()}".encode()
    started = f"{time.time():.3f}".encode()
    if found.words.events:
        jobs = str(found.words.jobs).encode() if found.words.jobs else texts["jobs"]
        events = _unpacked(texts["events"]).replace(BUILD_ID, id_).replace(TIME, started).replace(JOBS, jobs)
        with open(found.words.events, "wb") as file:
            file.write(events.replace(SECONDS, f"{time.perf_counter() - found.began:.6f}".encode()))
    if not found.words.quiet:
        _write(2, texts["stderr coloured" if _coloured(2) else "stderr"])
    seconds = time.perf_counter() - found.began
    if found.words.as_json:
        _write(1, _unpacked(texts["json"]).replace(BUILD_ID, id_).replace(SECONDS, f"{seconds:.3f}".encode()))
    elif not found.words.quiet:
        text = texts["stdout coloured" if _coloured(1) else "stdout"]
        _write(1, text.replace(SECONDS, _duration(seconds)))
    return 0


def _unpacked(text: bytes) -> bytes:
    """The texts for programs are long, seldom asked for, and stored compressed."""
    from zlib import decompress

    return decompress(text)


def _duration(seconds: float) -> bytes:
    return f"{seconds * 1000:.0f} ms".encode() if seconds < 0.1 else f"{seconds:.1f} s".encode()


def _may_colour() -> bool:
    """The rest is the stream's: as in `report.style`, which rendered the texts."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _coloured(stream: int) -> bool:
    return os.isatty(stream) and _may_colour()


def _write(stream: int, data: bytes) -> None:
    while data:
        data = data[os.write(stream, data) :]
