"""A build after edits that reach a part of the graph: that alone is laid out and built, the rest is as before.

The stored graph tells which of the requested targets a changed source or output can reach, and which a changed table
of a BUILD file or a folder with other files in it (`edits`). Those are built as if they alone had been asked for. What
came of it takes its old place in the stored graph (`merge`), unless something came out that nothing had reached.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.edits import Edits
from axbuild.engine.noop.stored import GraphUnreadable, RequestedNames, StoredGoal, StoredGraph
from axbuild.engine.records.events import Diagnostic, TestResult
from axbuild.workspace.artifact import ActionId
from axbuild.workspace.label import split


@dataclass
class PartialBuild:
    """labels: what to build. names: what the request names, and what stands for it as far as it is known.

    dirty: the actions that a changed source can reach. relaid: labels that are laid out anew. goals: the requested
    targets of all, in order, once those of the part are known; `own`: those of the part; `former`: requested ones of
    before that are of the part, or no more requested. laid: every label that the part laid out. ids: its actions, once
    it is built, and `gone` those that nobody needs any more.
    """

    labels: tuple[str, ...]
    names: RequestedNames
    found: form.Found
    graph: StoredGraph
    dirty: set[ActionId]
    relaid: set[str] = field(default_factory=set)
    edits: Edits | None = None
    goals: dict[str, None] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    former: tuple[str, ...] = ()
    laid: set[str] = field(default_factory=set)
    ids: frozenset[ActionId] = frozenset()
    gone: set[ActionId] = field(default_factory=set)

    def named(self, names: Mapping[str, Sequence[str]]) -> None:
        """The part is laid out: `names` are its labels and the targets that stand for each."""
        for label, goals in names.items():
            if label in self.names.labels:
                self.names.stand(label, goals)
        self.goals = self.names.goals()
        self.own = {goal for goals in names.values() for goal in goals}
        before = self.graph.answer.outputs
        self.former = tuple(label for label in before if label in self.own or label not in self.goals)

    @property
    def has_rest(self) -> bool:
        return len(self.own) < len(self.goals)

    def is_of_rest(self, label: str) -> bool:
        """Whether it is requested, and not of the part."""
        return label in self.goals and label not in self.own

    def built(self, ids: Iterable[ActionId]) -> None:
        """The part is built, and these were its actions."""
        self.ids = frozenset(ids)
        self.gone = self._gone()

    def _gone(self) -> set[ActionId]:
        """What targets of the part needed, is no action of it any more, and nobody else needs."""
        graph = self.graph
        goals = [goal for label in self.former if (goal := graph.label(label).goal)]
        before = graph.needed((id_ for goal in goals for id_ in goal.owners), self.former)
        left = before - self.ids
        labels = {label for label, _ in left}
        roots: set[ActionId] = set()
        kept = {label for label in labels if self.is_of_rest(label)}
        for other, one in graph.labels({package for label in labels for package in graph.around(label)}):
            others = [action for name, action in one.actions.items() if (other, name) not in before]
            roots.update(id_ for action in others for id_ in action.waits)
            if others:
                kept.add(other)
            if one.goal and self.is_of_rest(other):
                roots.update(one.goal.owners)
        return left - graph.needed(roots & left, kept & labels)

    @cached_property
    def elsewhere(self) -> int:
        """How many actions are valid, and not among those of the part."""
        return self.graph.count - len(self.gone) - sum(self.graph.action(id_) is not None for id_ in self.ids)

    def diagnostics(self) -> list[list[Any]]:
        """Those of the rest, as they are stored."""
        own = self.ids | self.gone
        labels = self.laid | self.relaid | {label for label, _ in self.gone}
        return [
            one
            for one in self.graph.answer.diagnostics
            if (one[0], one[1]) not in own and (one[1] or one[0] not in labels)
        ]

    def tests(self) -> list[list[Any]]:
        """Those of the rest, as they are stored."""
        return [one for one in self.graph.answer.tests if self.is_of_rest(one[0])]

    def said(self) -> list[Diagnostic | TestResult]:
        """What the rest has to say once more."""
        return [*(Diagnostic(*one) for one in self.diagnostics()), *(TestResult(*one) for one in self.tests())]

    def outputs(self, own: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The files of all requested targets, of which the part handed over its own."""
        before, lost = self.graph.answer.outputs, self.own - own.keys()
        return {label: own[label] if label in own else before[label] for label in self.goals if label not in lost}


def part_of(found: form.Found) -> PartialBuild | None:
    """What to build for what changed; None when the whole request must be looked at."""
    snapshot, edits = found.snapshot, found.edits
    if snapshot is None:
        return None
    if edits is None and any(snapshot.flags[number] & form.ROLES == form.LOADED for number in found.changed):
        return None
    try:
        graph = edits.graph if edits else StoredGraph.read(found.file, snapshot.graph)
    except GraphUnreadable:
        return None
    changed = set(found.changed)
    dirty = graph.reached(changed)
    wanted = _wanted(graph, changed, dirty)
    before = graph.answer.names
    names, relaid = RequestedNames(before.labels, dict(before.apart)), set[str]()
    if edits is not None:
        relaid = edits.reached
        if edits.named is not None:
            names.rename(edits.named)
        again = {label for label in relaid if label in names.labels} | (names.labels.keys() - before.labels.keys())
        if not _apart(again, names.labels, edits.packages):
            return None
        wanted = {goal for goal in wanted if names.has(goal, but=again)} | again
    everything = {**names.labels, **names.goals()}
    labels = tuple(label for label in everything if label in wanted)
    if len(labels) == len(everything) or not (labels or edits):
        return None
    return PartialBuild(labels, names, found, graph, dirty, relaid, edits)


def _wanted(graph: StoredGraph, changed: set[int], dirty: set[ActionId]) -> set[str]:
    """The requested targets that something changed or dirty belongs to."""
    packages = {*graph.using(changed), *(package for label, _ in dirty for package in graph.around(label))}

    def is_reached(goal: StoredGoal) -> bool:
        return not (dirty.isdisjoint(goal.owners) and changed.isdisjoint(goal.sources + goal.placed))

    return {label for label, one in graph.labels(packages) if one.goal and is_reached(one.goal)}


def _apart(again: Iterable[str], names: Container[str], packages: Iterable[str]) -> bool:
    """Whether no target laid out anew may hand over a file into the folder of another: `//a:b` and the targets of a
    package `//a/b` share one."""
    above: set[str] = set()
    for package in packages:
        while package and package not in above:
            above.add(package)
            package = package.rpartition("/")[0]
    for label in again:
        package, name = split(label)
        parts = [*_parts(package), name]
        owners = (f"//{'/'.join(parts[:at])}:{parts[at]}" for at in range(len(parts) - 1))
        if "/".join(parts) in above or any(owner in names for owner in owners):
            return False
    return True


def _parts(package: str) -> list[str]:
    return package.split("/") if package else []
