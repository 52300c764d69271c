"""The stored graph: actions, goals and layouts by label, in parts, one a package.

A build of everything stores it whole. An edit reaches few packages: the parts of those are read and written anew, those
of all others are copied as bytes. Beside the parts stand an index, which tells for each what it names of paths and of
other packages' labels, and the answer: what the request names, and what a build with nothing to do says of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import xxhash

from axbuild.dataclass import dataclass, field
from axbuild.engine.noop.keep import ENDING, replace
from axbuild.store.packed import pack, unpack
from axbuild.store.plain import read_plain
from axbuild.workspace.artifact import ActionId
from axbuild.workspace.label import split

Buffer = bytes | memoryview

Left = TypeVar("Left")
Right = TypeVar("Right")


class StoredAction(NamedTuple):
    """waits: the actions that it waits for; a child waits for its expansion, whatever it reads. sources: numbers of
    the snapshot's paths, here and below."""

    key: str
    waits: tuple[ActionId, ...]
    sources: tuple[int, ...]
    preflight: bool


class StoredGoal(NamedTuple):
    """A requested target. owners: the actions that its artifacts come from. sources: those that are artifacts. placed:
    the files handed over."""

    owners: tuple[ActionId, ...]
    sources: tuple[int, ...]
    placed: tuple[int, ...]


class StoredLayout(NamedTuple):
    """What a target was laid out by: labels that it needs, folders and files that were looked at."""

    needs: tuple[str, ...]
    looked: tuple[int, ...]


class StoredLabel(NamedTuple):
    """All that is known of a label."""

    actions: dict[str, StoredAction]
    goal: StoredGoal | None = None
    layout: StoredLayout | None = None

    def moved(self, places: Sequence[int]) -> StoredLabel:
        """With other numbers of paths: the place of each is the new one."""

        def put(numbers: Iterable[int]) -> tuple[int, ...]:
            return tuple(places[number] for number in numbers)

        actions = {name: action._replace(sources=put(action.sources)) for name, action in self.actions.items()}
        goal = self.goal and StoredGoal(self.goal.owners, put(self.goal.sources), put(self.goal.placed))
        return StoredLabel(actions, goal, self.layout and StoredLayout(self.layout.needs, put(self.layout.looked)))


_NOTHING = StoredLabel({})


@dataclass
class RequestedNames:
    """What a request names, in order. apart: those for which other targets stand than themselves -> these targets."""

    labels: dict[str, None] = field(default_factory=dict)
    apart: dict[str, list[str]] = field(default_factory=dict)

    def stand(self, label: str, goals: Sequence[str]) -> None:
        """From now on, these targets stand for it."""
        self.apart[label] = [*goals]
        if self.apart[label] == [label]:
            del self.apart[label]

    def rename(self, labels: Iterable[str]) -> None:
        """From now on, these are named."""
        self.labels = dict.fromkeys(labels)
        self.apart = {label: goals for label, goals in self.apart.items() if label in self.labels}

    def goals(self) -> dict[str, None]:
        """The targets that stand for what is named, in order."""
        if not self.apart:
            return self.labels
        return dict.fromkeys(chain.from_iterable(self.apart.get(label, (label,)) for label in self.labels))

    def has(self, goal: str, but: Container[str]) -> bool:
        """Whether the target stands for a name that is not among those."""
        itself = goal in self.labels and goal not in self.apart and goal not in but
        return itself or any(goal in goals for label, goals in self.apart.items() if label not in but)


@dataclass
class Answer:
    """What is said of all. outputs: of the targets that stand for what is named, in order, the files handed over.

    diagnostics: [label, action, stage, code, sentence, replayed]; tests: [label, passed, sentence, verdict, cached].
    """

    names: RequestedNames = field(default_factory=RequestedNames)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    diagnostics: list[list[Any]] = field(default_factory=list)
    tests: list[list[Any]] = field(default_factory=list)

    def packed(self) -> bytes:
        names = list(self.names.labels) if self.names.apart else None
        return pack([names, self.names.apart, self.outputs, self.diagnostics, self.tests])

    @staticmethod
    def of(data: Buffer) -> Answer:
        names, apart, outputs, diagnostics, tests = unpack(data)
        return Answer(RequestedNames(dict.fromkeys(names or outputs), apart), outputs, diagnostics, tests)


class _Row(NamedTuple):
    """Of a part, in the index: how many actions, how long its keys and itself are, which paths it names, and which
    labels of other packages."""

    actions: int
    keys: int
    size: int
    paths: tuple[int, ...]
    leans: tuple[str, ...]


class _Part:
    """The labels of one package."""

    def __init__(self, labels: dict[str, StoredLabel]) -> None:
        self.labels = labels

    @staticmethod
    def of(data: Buffer) -> _Part:
        return _Part({label: _label(*one) for label, one in unpack(data, lists=False).items()})

    def ids(self) -> Iterator[tuple[ActionId, StoredAction]]:
        for label, one in self.labels.items():
            for name, action in one.actions.items():
                yield (label, name), action

    @cached_property
    def waiting(self) -> Mapping[ActionId, list[ActionId]]:
        """By action, those of this package that wait for it."""
        return _inverse((id_, action.waits) for id_, action in self.ids())

    @cached_property
    def needing(self) -> Mapping[str, list[str]]:
        """By label, those of this package that were laid out by it."""
        return _inverse((label, one.layout.needs) for label, one in self.labels.items() if one.layout)

    @cached_property
    def children(self) -> Mapping[ActionId, list[ActionId]]:
        """By expansion, its children."""
        return _inverse((id_, [(id_[0], id_[1].rpartition("/")[0])]) for id_, _ in self.ids() if "/" in id_[1])

    def packed(self, package: str) -> tuple[_Row, Buffer, Buffer]:
        """Its row in the index, its keys and itself."""
        actions = [action for _, action in self.ids()]
        goals = [one.goal for one in self.labels.values() if one.goal]
        layouts = [one.layout for one in self.labels.values() if one.layout]
        paths = {number for action in actions for number in action.sources}
        paths.update(number for goal in goals for number in goal.sources + goal.placed)
        paths.update(number for layout in layouts for number in layout.looked)
        named = {label for action in actions for label, _ in action.waits}
        named.update(label for goal in goals for label, _ in goal.owners)
        named.update(label for layout in layouts for label in layout.needs)
        leans = sorted(label for label in named if split(label)[0] != package)
        keys, body = "".join(f"{action.key}\n" for action in actions).encode(), pack(self.labels)
        return _Row(len(actions), len(keys), len(body), tuple(sorted(paths)), tuple(leans)), keys, body


def _label(actions: Mapping[str, Any], goal: Any, layout: Any) -> StoredLabel:
    known = {name: StoredAction(*one) for name, one in actions.items()}
    return StoredLabel(known, StoredGoal(*goal) if goal else None, StoredLayout(*layout) if layout else None)


def _inverse(pairs: Iterable[tuple[Left, Iterable[Right]]]) -> Mapping[Right, list[Left]]:
    found: defaultdict[Right, list[Left]] = defaultdict(list)
    for left, rights in pairs:
        for right in rights:
            found[right].append(left)
    return found


class GraphUnreadable(OSError):
    """The graph is not there, or not the one that belongs to the snapshot."""


def _sections(data: memoryview) -> list[memoryview]:
    """The four that their lengths stand before. They are long, and not copied."""
    sections, at = [], 4 * 8
    for number in range(4):
        size = int.from_bytes(data[8 * number : 8 * number + 8], "little")
        sections.append(data[at : at + size])
        at += size
    return sections


class StoredGraph:
    """The labels of a package are read when one of them is first asked for, and the answer when that is.

    keys: those of all actions, a line each, some perhaps more than once.
    """

    def __init__(
        self, answer: Answer | Buffer, index: dict[str, _Row], keys: Buffer = b"", bodies: Buffer = b""
    ) -> None:
        self._answer, self._index, self.keys, self._bodies = answer, index, keys, bodies
        self._parts: dict[str, _Part] = {}

    @staticmethod
    def read(path: str, checksum: bytes) -> StoredGraph:
        """The one beside the snapshot at `path`; raises GraphUnreadable."""
        try:
            data = read_plain(Path(f"{path}{ENDING}"))
        except OSError as error:
            raise GraphUnreadable(str(error)) from error
        if xxhash.xxh3_128_digest(data) != checksum:
            raise GraphUnreadable("it is another one")
        answer, index, keys, bodies = _sections(memoryview(data))
        rows = {package: _Row(*row) for package, row in unpack(index, lists=False).items()}
        return StoredGraph(answer, rows, keys, bodies)

    @staticmethod
    def made(labels: Mapping[str, StoredLabel], answer: Answer) -> StoredGraph:
        return StoredGraph(answer, {}).rewritten(labels, answer)

    def write(self, path: str) -> bytes | None:
        """Put it beside the snapshot at `path`, in which the checksum then must stand; None where the disk refuses."""
        sections = [self.answer.packed(), pack(self._index), self.keys, self._bodies]
        pieces = [b"".join(len(section).to_bytes(8, "little") for section in sections), *sections]
        checksum = xxhash.xxh3_128()
        for piece in pieces:
            checksum.update(piece)
        return checksum.digest() if replace(Path(f"{path}{ENDING}"), pieces) else None

    def rewritten(self, changes: Mapping[str, StoredLabel], answer: Answer) -> StoredGraph:
        """The graph with what is known of some labels from now on, `StoredLabel({})` where nothing is."""
        by_package: defaultdict[str, dict[str, StoredLabel]] = defaultdict(dict)
        for label, one in changes.items():
            by_package[split(label)[0]][label] = one
        index: dict[str, _Row] = {}
        keys: list[Buffer] = []
        bodies: list[Buffer] = []
        for package in dict.fromkeys([*self._index, *by_package]):
            now = self._merged(package, by_package[package]) if package in by_package else self._copied(package)
            if now is not None:
                index[package], own, body = now
                keys.append(own)
                bodies.append(body)
        return StoredGraph(answer, index, b"".join(keys), b"".join(bodies))

    # -- what is asked of it --------------------------------------------------------------------

    @cached_property
    def answer(self) -> Answer:
        return self._answer if isinstance(self._answer, Answer) else Answer.of(self._answer)

    @property
    def count(self) -> int:
        """How many actions there are."""
        return sum(row.actions for row in self._index.values())

    def label(self, label: str) -> StoredLabel:
        return self._part(split(label)[0]).labels.get(label, _NOTHING)

    def action(self, id_: ActionId) -> StoredAction | None:
        return self.label(id_[0]).actions.get(id_[1])

    def labels(self, packages: Iterable[str]) -> Iterator[tuple[str, StoredLabel]]:
        for package in packages:
            yield from self._part(package).labels.items()

    def using(self, paths: set[int]) -> list[str]:
        """The packages that name one of these paths."""
        return [package for package, row in self._index.items() if not paths.isdisjoint(row.paths)]

    def around(self, label: str) -> list[str]:
        """The label's own package, and those that name it."""
        return [split(label)[0], *self._leaning.get(label, ())]

    def reached(self, changed: set[int]) -> set[ActionId]:
        """Every action that a changed source can reach; through a preflight, all actions of its target."""
        left = [
            (label, name)
            for label, one in self.labels(self.using(changed))
            for name, action in one.actions.items()
            if not changed.isdisjoint(action.sources)
        ]
        found: set[ActionId] = set()
        while left:
            id_ = left.pop()
            if id_ not in found:
                found.add(id_)
                for package in self.around(id_[0]):
                    left += self._part(package).waiting.get(id_, ())
                own = self.label(id_[0]).actions
                if own[id_[1]].preflight:
                    left += ((id_[0], name) for name in own)
        return found

    def laid_by(self, labels: Iterable[str], looked: set[int]) -> set[str]:
        """These labels, and all whose layout rests on one of them, or on one of these folders and files."""
        left = [*labels]
        for label, one in self.labels(self.using(looked)):
            if one.layout and not looked.isdisjoint(one.layout.looked):
                left.append(label)
        found: set[str] = set()
        while left:
            label = left.pop()
            if label not in found:
                found.add(label)
                for package in self.around(label):
                    left += self._part(package).needing.get(label, ())
        return found

    def needed(self, roots: Iterable[ActionId], labels: Iterable[str]) -> set[ActionId]:
        """These actions and all that they need, with the preflights of these labels and of those that are needed."""
        found = self._closure(roots)
        gated = {label for label, _ in found}.union(labels)
        actions = ((label, name, action) for label in gated for name, action in self.label(label).actions.items())
        return found | self._closure((label, name) for label, name, action in actions if action.preflight)

    def _closure(self, roots: Iterable[ActionId]) -> set[ActionId]:
        found: set[ActionId] = set()
        left = list(roots)
        while left:
            id_ = left.pop()
            action = None if id_ in found else self.action(id_)
            if action is not None:
                found.add(id_)
                left += action.waits
                left += self._part(split(id_[0])[0]).children.get(id_, ())
        return found

    # -- where things are -----------------------------------------------------------------------

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """By package, where its keys begin and where its part does."""
        places, key, body = {}, 0, 0
        for package, row in self._index.items():
            places[package] = key, body
            key, body = key + row.keys, body + row.size
        return places

    @cached_property
    def _leaning(self) -> Mapping[str, list[str]]:
        """By label, the other packages that name it."""
        return _inverse((package, row.leans) for package, row in self._index.items())

    def _part(self, package: str) -> _Part:
        if package not in self._parts:
            row = self._index.get(package)
            at = self._places[package][1] if row else 0
            self._parts[package] = _Part.of(self._bodies[at : at + row.size]) if row else _Part({})
        return self._parts[package]

    def _merged(self, package: str, changes: Mapping[str, StoredLabel]) -> tuple[_Row, Buffer, Buffer] | None:
        """None where nothing is left of it."""
        before = self._part(package).labels
        now = {label: one for label, one in {**before, **changes}.items() if one != _NOTHING}
        if now and now == before:
            return self._copied(package)
        return _Part(now).packed(package) if now else None

    def _copied(self, package: str) -> tuple[_Row, Buffer, Buffer]:
        row, (key, body) = self._index[package], self._places[package]
        return row, self.keys[key : key + row.keys], self._bodies[body : body + row.size]
