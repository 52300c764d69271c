"""A build after edits that reach a part of the graph: that alone is laid out and built, the rest is as before.

The stored graph tells which of the requested targets a changed source or output can reach, and which a changed table
of a BUILD file or a folder with other files in it (`edits`). Those are built as if they alone had been asked for. What
came of it takes its old place in the stored graph (`merge`), unless something came out that nothing had reached.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.edits import Edits
from axbuild.engine.noop.meaning import LABEL, NAME, OWNERS, PLACED, PREFLIGHT, READ, SOURCES, WAITS
from axbuild.engine.records.events import Diagnostic, TestResult
from axbuild.workspace.artifact import ActionId
from axbuild.workspace.label import split


@dataclass
class PartialBuild:
    """labels: what to build. names: what the request names -> the targets that stood for it, as far as it is known.

    dirty: numbers of the actions that a changed source can reach. relaid: labels that are laid out anew. goals: the
    requested targets of all, in order, once those of the part are known, and `rest` those that are not of it. ids: the
    part's actions, once it is built, and `gone` the numbers of those that nobody needs any more.
    """

    labels: tuple[str, ...]
    names: dict[str, list[str]]
    found: form.Found
    graph: dict[str, Any]
    dirty: set[int]
    relaid: set[str] = field(default_factory=set)
    edits: Edits | None = None
    goals: tuple[str, ...] = ()
    rest: frozenset[str] = frozenset()
    ids: frozenset[ActionId] = frozenset()
    gone: set[int] = field(default_factory=set)

    def named(self, names: Mapping[str, Sequence[str]]) -> None:
        """The part is laid out: `names` are its labels and the targets that stand for each."""
        for label in self.names.keys() & names.keys():
            self.names[label] = list(names[label])
        self.goals = tuple(dict.fromkeys(goal for goals in self.names.values() for goal in goals))
        self.rest = frozenset(self.goals) - {goal for goals in names.values() for goal in goals}

    def built(self, ids: Iterable[ActionId]) -> None:
        """The part is built, and these were its actions."""
        self.ids = frozenset(ids)
        self.gone = self._gone()

    def _gone(self) -> set[int]:
        actions, targets = self.graph["actions"], self.graph["targets"]
        others = _needed(actions, [one for one in targets if one[LABEL] not in self.rest])
        left = {number for number in others if _id_of(actions[number]) not in self.ids}
        if not left:
            return left
        roots = {owner for one in targets if one[LABEL] in self.rest for owner in one[OWNERS]} & others
        labels = set(self.rest)
        for number, action in enumerate(actions):
            if number not in others:
                roots.update(others.intersection(action[WAITS]))
                labels.add(action[LABEL])
        return left - _with_gates(actions, _closure(actions, roots), labels)

    @cached_property
    def elsewhere(self) -> list[int]:
        """Numbers of the actions that are valid, and not among those of the part."""
        labels = {label for label, _ in self.ids}
        return [
            number
            for number, action in enumerate(self.graph["actions"])
            if number not in self.gone and not (action[LABEL] in labels and _id_of(action) in self.ids)
        ]

    def diagnostics(self) -> list[list[Any]]:
        """Those of the rest, as they are stored."""
        stored: list[list[Any]] = self.graph["diagnostics"]
        if not stored:
            return stored
        rest = {_id_of(self.graph["actions"][number]) for number in self.elsewhere}
        return [one for one in stored if tuple(one[:2]) in rest]

    def said(self) -> list[Diagnostic | TestResult]:
        """What the rest has to say once more."""
        said: list[Diagnostic | TestResult] = [Diagnostic(*one) for one in self.diagnostics()]
        return said + [TestResult(*one) for one in self.graph["tests"] if one[LABEL] in self.rest]

    def outputs(self, own: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The files of all requested targets, of which the part handed over its own."""
        assert self.found.snapshot is not None
        paths = self.found.snapshot.paths
        known = {
            one[LABEL]: [paths[n] for n in one[PLACED]] for one in self.graph["targets"] if one[LABEL] in self.rest
        }
        known |= own
        return {label: known[label] for label in self.goals if label in known}


def part_of(found: form.Found) -> PartialBuild | None:
    """What to build for what changed; None when the whole request must be looked at."""
    snapshot = found.snapshot
    if snapshot is None:
        return None
    edits = found.edits
    if edits is None and any(snapshot.flags[number] & form.ROLES == form.LOADED for number in found.changed):
        return None
    from axbuild.store.packed import unpack

    graph: dict[str, Any] = edits.graph if edits and edits.graph else unpack(snapshot.cold)
    changed = set(found.changed)
    dirty = _reached(graph["actions"], changed)
    wanted = {
        target[LABEL]
        for target in graph["targets"]
        if not dirty.isdisjoint(target[OWNERS])
        or not changed.isdisjoint(target[READ])
        or not changed.isdisjoint(target[PLACED])
    }
    names: dict[str, list[str]] = dict(graph["named"])
    relaid: set[str] = set()
    if edits is not None:
        before = names
        names = {label: before.get(label, []) for label in edits.named or before}
        relaid = edits.reached
        again = [label for label in names if label in relaid or label not in before]
        if not _apart(again, names, edits.packages):
            return None
        kept = {goal for label, goals in names.items() if label not in again for goal in goals}
        wanted = {goal for goal in wanted if goal in kept} | set(again)
    everything = [*names, *chain.from_iterable(names.values())]
    labels = tuple(dict.fromkeys(label for label in everything if label in wanted))
    if wanted.issuperset(everything) or not (labels or edits):
        return None
    return PartialBuild(labels, names, found, graph, dirty, relaid, edits)


def _id_of(action: Sequence[Any]) -> ActionId:
    return action[LABEL], action[NAME]


def _apart(again: Iterable[str], names: Container[str], packages: Iterable[str]) -> bool:
    """Whether no target laid out anew may hand over a file into the folder of another: `//a:b` and the targets of a
    package `//a/b` share one."""
    above = {"/".join(parts[:length]) for parts in map(_parts, packages) for length in range(1, len(parts) + 1)}
    for label in again:
        package, name = split(label)
        parts = [*_parts(package), name]
        owners = (f"//{'/'.join(parts[:at])}:{parts[at]}" for at in range(len(parts) - 1))
        if "/".join(parts) in above or any(owner in names for owner in owners):
            return False
    return True


def _parts(package: str) -> list[str]:
    return package.split("/") if package else []


def _reached(actions: Sequence[Sequence[Any]], changed: set[int]) -> set[int]:
    """Every action that a changed source can reach; through a preflight, all actions of its target."""
    first = [number for number, action in enumerate(actions) if not changed.isdisjoint(action[SOURCES])]
    if not first:
        return set()
    readers: defaultdict[int, list[int]] = defaultdict(list)
    of_label: defaultdict[str, list[int]] = defaultdict(list)
    for number, action in enumerate(actions):
        of_label[action[LABEL]].append(number)
        for other in action[WAITS]:
            readers[other].append(number)
    left = deque(first)
    found: set[int] = set()
    while left:
        number = left.popleft()
        if number not in found:
            found.add(number)
            left += readers[number]
            if actions[number][PREFLIGHT]:
                left += of_label[actions[number][LABEL]]
    return found


def _needed(actions: Sequence[Sequence[Any]], targets: Sequence[Sequence[Any]]) -> set[int]:
    """The actions that a build of these targets looks at: what they need, and the preflights of all those labels."""
    found = _closure(actions, {owner for target in targets for owner in target[OWNERS]})
    return _with_gates(actions, found, {target[LABEL] for target in targets})


def _with_gates(actions: Sequence[Sequence[Any]], found: set[int], labels: set[str]) -> set[int]:
    """These actions, and what the preflights of their labels and of those labels need."""
    labels = labels.union(actions[number][LABEL] for number in found)
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
