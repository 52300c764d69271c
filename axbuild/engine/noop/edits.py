"""Edits of text: which tables of BUILD files came to say something else, and which folders hold other files.

Only what changed is read again and compared with what the snapshot says it meant. Where all of it means what it
meant, the snapshot is the answer still. A text that cannot be judged so (code, an ignore file, settings that count,
rules that do something else, any error) leaves the build to the full path, which has the sentences for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterable, Mapping
from contextlib import chdir
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from axbuild.dataclass import dataclass, field
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.keep import freshen, write
from axbuild.engine.noop.meaning import fingerprints, rule_meaning, settings_meaning, texts_of, young
from axbuild.engine.noop.stored import StoredGraph
from axbuild.errors import AxError
from axbuild.graph.targets import expand
from axbuild.store.packed import pack, unpack
from axbuild.workspace.disk import BUILD_FILE, FILE, Seen, join, look
from axbuild.workspace.ignore import FILE_NAME as IGNORE_FILE
from axbuild.workspace.label import parse_patterns
from axbuild.workspace.packages import Package, Packages, Target
from axbuild.workspace.settings import FILE_NAME as SETTINGS_FILE
from axbuild.workspace.workspace import Workspace


@dataclass
class Edits:
    """workspace: as far as it was read again. labels: of tables that changed, came or went.

    looked: numbers of changed folders and files that a target may have been laid out by. again: the packages read
    again, None where one is gone. named: the labels that the request names now; None where they are as before.
    seen: number -> kind and look of a changed path as it was judged. meaning: what the texts meant, to be brought up
    to date. file, checksum: of the snapshot and its graph; reached: labels that are to be laid out anew by that.
    """

    workspace: Workspace
    file: str
    checksum: bytes
    meaning: dict[str, Any]
    labels: set[str] = field(default_factory=set)
    looked: set[int] = field(default_factory=set)
    again: dict[str, bytes | None] = field(default_factory=dict)
    named: tuple[str, ...] | None = None
    seen: dict[int, tuple[int, Seen]] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    @cached_property
    def graph(self) -> StoredGraph:
        """Read when it is first asked; raises GraphUnreadable."""
        return StoredGraph.read(self.file, self.checksum)

    @property
    def packages(self) -> set[str]:
        """All that are known."""
        return {*self.meaning["packages"], *self.again}

    def reach(self) -> None:
        """Find every target whose layout rests on a changed table, folder or file, by the stored graph."""
        if self.labels or self.looked:
            self.reached = self.graph.laid_by(self.labels, self.looked)

    @property
    def reach_anything(self) -> bool:
        """Whether what the request names, or an action, rests on what changed."""
        if any(label in self.graph.answer.names.labels for label in self.reached):
            return True
        using = self.graph.labels(self.graph.using(self.looked)) if self.looked else ()
        readers = (reader for _, one in using for reader in (one.goal, *one.actions.values()) if reader)
        return any(not self.looked.isdisjoint(reader.sources) for reader in readers)

    def packed(self) -> bytes:
        """What the texts mean now."""
        packages = self.meaning["packages"]
        for name, own in self.again.items():
            if own is None:
                packages.pop(name, None)
            else:
                packages[name] = own
        self._learn_texts(texts_of(self.workspace.packages))
        return pack(self.meaning)

    def _learn_texts(self, texts: Mapping[str, list[str]]) -> None:
        """A package that a text is no more read for is read in vain, until the next build of everything."""
        known = self.meaning["texts"]
        for path, names in texts.items():
            known[path] = sorted({*known.get(path, ()), *names})

    def learn(self, rules: Container[int], packages: Mapping[str, bytes], texts: Mapping[str, list[str]]) -> None:
        """What a part came to: the rule files that are nothing else, the packages it read, what they are made of."""
        self._learn_texts(texts)
        self.meaning["rules"] = {number: one for number, one in self.meaning["rules"].items() if number in rules}
        # What was known is left as it was judged: it may have changed once more.
        self.meaning["packages"] = {**packages, **self.meaning["packages"]}


class _NotTold(Exception):
    """Only the full path can tell."""


def settle(found: form.Found) -> bool:
    """Judge the texts that changed; whether the snapshot is the answer after all, and has been brought up to date."""
    found.edits = edits = _read_again(found)
    snapshot = found.snapshot
    if edits is None or snapshot is None:
        return False
    if edits.named is not None or edits.reach_anything:
        return False
    if any(snapshot.flags[number] & form.ROLES != form.LOADED for number in found.changed):
        return False
    freshen(found, snapshot)
    told_again(found, snapshot, found.changed, edits)
    if edits.looked:
        _add_folders(snapshot, edits.workspace)
    if edits.again:
        snapshot.meaning = edits.packed()
    write(found.file, snapshot)
    found.changed = []
    return True


def told_again(found: form.Found, snapshot: form.Snapshot, numbers: Iterable[int], edits: Edits | None) -> None:
    """Put what stands at changed paths now, as it was judged, in the place of what stood there."""
    with chdir(found.root):
        for number in numbers:
            path, role = snapshot.paths[number], snapshot.flags[number] & ~(form.KINDS | form.YOUNG)
            judged = edits.seen.get(number) if edits else None
            kind, seen = judged or _now(path)
            digest = seen.digest or form.UNKNOWN
            snapshot.put(number, role | kind | young(seen), seen.signature or (0, 0, 0, 0), digest)


def _now(path: str) -> tuple[int, Seen]:
    """What stands at a path on which nothing rests any more, looked at until the next build of everything."""
    signature, taken_ns = look(path), time.time_ns()
    if signature is None:
        return form.ABSENT, Seen(None, taken_ns, None)
    kind = form.LISTING if os.path.isdir(path) else form.FILE  # noqa: PTH112  as the snapshot's own looks
    return kind, Seen(signature, taken_ns, form.digest_of(path, kind))


def _add_folders(snapshot: form.Snapshot, workspace: Workspace) -> None:
    """Folders without packages that were walked for the first time: one may come to stand there."""
    known = set(snapshot.paths)
    for folder, seen in workspace.disk.listings().items():
        if (folder or ".") not in known:
            kind = form.LISTING if seen.signature else form.ABSENT
            flags, digest = form.LOADED | form.LAID | kind | young(seen), seen.digest or form.UNKNOWN
            snapshot.append(folder or ".", flags, seen.signature or (0, 0, 0, 0), digest)


def _read_again(found: form.Found) -> Edits | None:
    """None where a text changed that only the full path can judge, or none has."""
    snapshot = found.snapshot
    if snapshot is None:
        return None
    texts = [number for number in found.changed if snapshot.flags[number] & form.ROLES == form.LOADED]
    if not texts:
        return None
    try:
        return _Reading(found, snapshot).run(texts)
    except (AxError, OSError, SyntaxError, ValueError, _NotTold):
        return None


class _Reading:
    def __init__(self, found: form.Found, snapshot: form.Snapshot) -> None:
        self._found, self._snapshot = found, snapshot
        overrides = {"build.jobs": found.words.jobs} if found.words.jobs else {}
        self._workspace = Workspace.find(Path.cwd(), overrides, found.words.configs)
        self._edits = Edits(self._workspace, found.file, snapshot.graph, unpack(snapshot.meaning))
        self._moved = False

    def run(self, texts: Iterable[int]) -> Edits:
        meaning = self._edits.meaning
        for number in texts:
            path = self._snapshot.paths[number]
            package = path.removesuffix(BUILD_FILE).removesuffix("/")
            if path == SETTINGS_FILE:
                self._settings(number)
            elif number in meaning["rules"]:
                self._rule(number)
            elif not self._snapshot.flags[number] & form.LAID or path == IGNORE_FILE:
                raise _NotTold
            elif path == join(package, BUILD_FILE) and package in meaning["packages"]:
                self._package(package)
                self._judged(number, path)
            elif path in meaning["texts"]:
                for name in meaning["texts"][path]:
                    self._package(name)
                self._judged(number, path)
            else:
                self._moved = True
                self._edits.looked.add(number)
        if self._moved:
            self._name_again()
        self._judge_folders()
        self._edits.reach()
        return self._edits

    def _judge_folders(self) -> None:
        listings = self._workspace.disk.listings()
        for number in self._edits.looked:
            path = self._snapshot.paths[number]
            if seen := listings.get("" if path == "." else path):
                self._edits.seen[number] = (form.LISTING if seen.signature else form.ABSENT), seen

    def _settings(self, number: int) -> None:
        if not self._snapshot.flags[number] & form.LAID:
            raise _NotTold
        settings, words = self._workspace.settings, self._found.words
        jobs = str(settings.jobs).encode()
        if settings_meaning(settings) != self._edits.meaning["settings"]:
            raise _NotTold
        if not words.jobs and settings.jobs and jobs != self._snapshot.texts["jobs"]:
            raise _NotTold
        self._edits.seen[number] = form.FILE, self._workspace.disk.files[SETTINGS_FILE]

    def _rule(self, number: int) -> None:
        path = f"{self._workspace.root}/{self._snapshot.paths[number]}"
        signature, taken_ns = look(path), time.time_ns()
        text = Path(path).read_bytes()
        if rule_meaning(text) != self._edits.meaning["rules"][number]:
            raise _NotTold
        self._edits.seen[number] = form.FILE, Seen(signature, taken_ns, sha256(text).digest())

    def _judged(self, number: int, path: str) -> None:
        """A file is as the packages found it; one that none of them read any more counts as it stands."""
        if seen := self._workspace.disk.files.get(path):
            self._edits.seen[number] = form.FILE, seen

    def _targets(self, name: str) -> dict[str, Target]:
        """Those of a package, whose texts are watched already: others only a whole build can begin to watch."""
        found = self._workspace.packages.targets(name)
        if not set(self._workspace.packages.read(name).texts) <= self._edits.meaning["texts"].keys():
            raise _NotTold
        return found

    def _package(self, name: str) -> None:
        edits = self._edits
        if name in edits.again or name not in edits.meaning["packages"]:
            return
        before = unpack(edits.meaning["packages"][name])
        if not self._workspace.packages.exists(name):
            edits.again[name] = None
            self._moved = True
            edits.labels.update(f"//{name}:{target}" for target in before)
            return
        own = edits.again[name] = fingerprints(self._targets(name))
        now = unpack(own)
        self._moved = self._moved or list(now) != list(before)
        edits.labels.update(
            f"//{name}:{target}" for target in now.keys() | before.keys() if now.get(target) != before.get(target)
        )

    def _name_again(self) -> None:
        """What the patterns name now: they are taken apart as ever, over packages of which few are read again."""
        folder = self._workspace.package_of(Path.cwd())
        if self._workspace.disk.listing("").get(IGNORE_FILE) == FILE and IGNORE_FILE not in self._snapshot.paths:
            raise _NotTold
        walk = bool(self._edits.looked) or None in self._edits.again.values()
        known = _Known(self._workspace, self._edits, walk)
        named = expand(cast("Packages", known), parse_patterns(self._found.words.targets, folder))
        if list(named) != list(self._edits.graph.answer.names.labels):
            self._edits.named = named
        for name in known.new:
            targets = self._targets(name)
            self._edits.again[name] = fingerprints(targets)
            self._edits.labels.update(target.label for target in targets.values())


class _Known:
    """The packages of the workspace to `expand`: new and edited ones are read, of the others the labels are known."""

    def __init__(self, workspace: Workspace, edits: Edits, walk: bool) -> None:
        self._packages, self._edits, self._walk = workspace.packages, edits, walk
        self.new: list[str] = []

    def below(self, folder: str) -> list[str]:
        walked: dict[str, list[str]] = self._edits.meaning["walked"]
        if self._walk or folder not in walked:
            walked[folder] = self._packages.below(folder)
        return walked[folder]

    def read(self, name: str) -> Package:
        known = self._edits.meaning["packages"].get(name)
        if known is not None and name not in self._edits.again:
            return Package(cast("dict[str, Target]", unpack(known)))  # of which the names alone are asked
        if name not in self._edits.again:
            self.new.append(name)
        return Package(self._packages.targets(name))
