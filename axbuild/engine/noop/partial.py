"""A build after edits of sources or outputs alone: only what they reach is built, the rest is as its snapshot says.

Nothing that decides the graph has moved (BUILD, settings and rule files, folders, code), so the stored graph tells
which of the requested targets a changed file can reach. Those are built as if they alone had been asked for. Where
they come out in the same form (the same actions, outputs and words), the snapshot is mended with what is new;
otherwise it is dropped, and the next build looks at everything.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.watch import Watched, write_keys, young
from axbuild.engine.records.events import ActionFinished, Diagnostic, TestResult
from axbuild.workspace.artifact import ActionId

LABEL, NAME, KEY, WAITS, SOURCES, PREFLIGHT = range(6)
"""fields of an action in the stored graph"""
OWNERS, READ, PLACED = 1, 2, 3
"""fields of a target in it"""


@dataclass
class PartialBuild:
    """labels: the requested targets to build. elsewhere: how many actions are valid and not among theirs.

    outputs: of all requested targets as they were. said: diagnostics and test results of the rest, to be told again.
    """

    labels: tuple[str, ...]
    elsewhere: int
    outputs: dict[str, list[str]]
    said: list[Diagnostic | TestResult]
    _found: form.Found
    _graph: dict[str, Any]
    _numbers: set[int]
    _dirty: set[int]

    @property
    def surely_runs(self) -> bool:
        """Whether a source changed that an action reads (and not outputs alone)."""
        return bool(self._dirty)

    def mend(self, actions: Mapping[ActionId, ActionFinished], watched: Watched | None) -> None:
        """Bring the snapshot up to date after a build of the part that succeeded; None: it is not to be trusted."""
        snapshot = self._found.snapshot
        assert snapshot is not None
        if watched is None or not self._fits(actions, watched):
            with suppress(OSError):
                Path(self._found.file).unlink()
            return
        numbers = {path: number for number, path in enumerate(snapshot.paths)}
        form.freshen(self._found, snapshot)
        for path, (flags, seen) in watched.paths.items():
            if flags & form.ROLES != form.LOADED and seen.signature is not None and seen.digest is not None:
                snapshot.put(numbers[path], flags | young(seen), seen.signature, seen.digest)
        for number in self._numbers:
            action = self._graph["actions"][number]
            action[KEY] = actions[action[LABEL], action[NAME]].key
        import msgpack

        snapshot.cold = msgpack.packb(self._graph, unicode_errors="surrogateescape")
        keys = dict.fromkeys(action[KEY] for action in self._graph["actions"])
        if write_keys(Path(os.fsdecode(snapshot.texts["keys"])), self._found.file, keys):
            form.write(self._found.file, snapshot)

    def _fits(self, actions: Mapping[ActionId, ActionFinished], watched: Watched) -> bool:
        """Whether the part has the form it had: the same actions, sources and outputs, told by the same words."""
        old = {(a[LABEL], a[NAME]): a for a in (self._graph["actions"][number] for number in self._numbers)}
        clean = {(a[LABEL], a[NAME]) for a in self._clean()}
        if old.keys() != actions.keys() or any(actions[id_].key != old[id_][KEY] for id_ in clean):
            return False
        if any(actions[id_].status == "executed" for id_ in clean):
            return False  # its result was lost, and what others took from it may be another one now
        snapshot = self._found.snapshot
        assert snapshot is not None
        known = set(snapshot.paths)
        placed = {path for label in self.labels for path in self.outputs[label]}
        new = {path for path, (flags, _) in watched.paths.items() if flags & form.ROLES == form.OUTPUT}
        read = {path for path, (flags, _) in watched.paths.items() if flags & form.ROLES == form.SOURCE}
        return new == placed and read <= known and self._told(watched) == self._told_before()

    def _clean(self) -> list[list[Any]]:
        return [self._graph["actions"][number] for number in self._numbers - self._dirty]

    def _told(self, watched: Watched) -> set[str]:
        return {repr(one) for one in (*watched.graph["diagnostics"], *watched.graph["tests"])}

    def _told_before(self) -> set[str]:
        ids = {tuple(self._graph["actions"][number][:2]) for number in self._numbers}
        said = [one for one in self._graph["diagnostics"] if tuple(one[:2]) in ids]
        return {repr(one) for one in (*said, *(one for one in self._graph["tests"] if one[0] in self.labels))}


def part_of(found: form.Found) -> PartialBuild | None:
    """What to build for the files that changed; None when the whole request must be looked at."""
    snapshot = found.snapshot
    if snapshot is None or any(snapshot.flags[number] & form.ROLES == form.LOADED for number in found.changed):
        return None
    import msgpack

    graph: dict[str, Any] = msgpack.unpackb(snapshot.cold, unicode_errors="surrogateescape")
    actions, targets = graph["actions"], graph["targets"]
    changed = set(found.changed)
    dirty = _reached(actions, changed)
    wanted = [
        target
        for target in targets
        if not dirty.isdisjoint(target[OWNERS])
        or not changed.isdisjoint(target[READ])
        or not changed.isdisjoint(target[PLACED])
    ]
    if not wanted or len(wanted) == len(targets):
        return None
    needed = _needed(actions, wanted)
    labels = {target[LABEL] for target in wanted}
    ids = {tuple(actions[number][:2]) for number in needed}
    said: list[Diagnostic | TestResult] = [
        Diagnostic(*one) for one in graph["diagnostics"] if tuple(one[:2]) not in ids
    ]
    said += [TestResult(*one) for one in graph["tests"] if one[0] not in labels]
    outputs = {target[LABEL]: [snapshot.paths[number] for number in target[PLACED]] for target in targets}
    return PartialBuild(
        tuple(target[LABEL] for target in wanted),
        len(actions) - len(needed),
        outputs,
        said,
        found,
        graph,
        needed,
        dirty,
    )


def _reached(actions: Sequence[Sequence[Any]], changed: set[int]) -> set[int]:
    """Every action that a changed source can reach; through a preflight, all actions of its target."""
    readers: defaultdict[int, list[int]] = defaultdict(list)
    of_label: defaultdict[str, list[int]] = defaultdict(list)
    for number, action in enumerate(actions):
        of_label[action[LABEL]].append(number)
        for other in action[WAITS]:
            readers[other].append(number)
    left = deque(number for number, action in enumerate(actions) if not changed.isdisjoint(action[SOURCES]))
    found: set[int] = set()
    while left:
        number = left.popleft()
        if number not in found:
            found.add(number)
            left += readers[number]
            if actions[number][PREFLIGHT]:
                left += of_label[actions[number][LABEL]]
    return found


def _needed(actions: Sequence[Sequence[Any]], targets: Iterable[Sequence[Any]]) -> set[int]:
    """The actions that a build of these targets looks at: what they need, and the preflights of all those labels."""
    owners = {owner for target in targets for owner in target[OWNERS]}
    found = _closure(actions, owners)
    labels = {actions[number][LABEL] for number in found} | {target[LABEL] for target in targets}
    gate = {number for number, action in enumerate(actions) if action[PREFLIGHT] and action[LABEL] in labels}
    return found | _closure(actions, gate)


def _closure(actions: Sequence[Sequence[Any]], roots: Iterable[int]) -> set[int]:
    found: set[int] = set()
    left = list(roots)
    children: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, action in enumerate(actions):
        if "/" in action[NAME]:
            children[action[LABEL], action[NAME].rpartition("/")[0]].append(number)
    while left:
        number = left.pop()
        if number not in found:
            found.add(number)
            left += actions[number][WAITS]
            left += children[actions[number][LABEL], actions[number][NAME]]
    return found
