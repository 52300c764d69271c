"""The stored graph after a build of a part: what the part is now takes its old place, and what nobody needs goes.

Numbers of paths stay as they are: new paths come behind, and one that nobody asks for any more is looked at in vain
until the next build of everything. An entry of the snapshot is replaced only where the build was told that the path
had changed: what changed meanwhile must still differ for the next look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axbuild.dataclass import dataclass
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.edits import told_again
from axbuild.engine.noop.keep import freshen
from axbuild.engine.noop.meaning import young
from axbuild.engine.noop.partial import PartialBuild
from axbuild.engine.noop.stored import Answer, StoredGraph, StoredLabel
from axbuild.engine.noop.watch import Watched
from axbuild.engine.records.events import ActionFinished
from axbuild.workspace.artifact import ActionId


@dataclass
class Merged:
    """The snapshot with what is new in it. retold: whether the next build with nothing to do says something else."""

    snapshot: form.Snapshot
    graph: StoredGraph
    retold: bool


def merge(part: PartialBuild, actions: Mapping[ActionId, ActionFinished], watched: Watched | None) -> Merged | None:
    """After a build of the part that succeeded; None: the snapshot is not to be trusted any more."""
    if watched is None or not _as_expected(part, actions):
        return None
    snapshot = part.found.snapshot
    assert snapshot is not None
    places = _paths(part, snapshot, watched)
    own = {label: one.moved(places) for label, one in watched.labels.items()}
    graph = part.graph.rewritten(_changes(part, own), _answer(part, watched.answer))
    if part.edits is not None:
        rules = {places[number] for number in watched.meaning["rules"]}
        part.edits.learn(rules, watched.meaning["packages"], watched.meaning["texts"])
        snapshot.meaning = part.edits.packed()
    return Merged(snapshot, graph, _says_otherwise(part.graph, graph))


def _as_expected(part: PartialBuild, actions: Mapping[ActionId, ActionFinished]) -> bool:
    """Whether nothing ran or came out that no edit had reached: a result may have been lost, and what others took from
    it may be another one now."""
    for id_, now in actions.items():
        before = None if id_[0] in part.relaid or id_ in part.dirty else part.graph.action(id_)
        if before is not None and (now.key != before.key or now.status == "executed"):
            return False
    return True


def _paths(part: PartialBuild, snapshot: form.Snapshot, watched: Watched) -> list[int]:
    """Bring the snapshot's paths up to date; the numbers there of the paths of the part."""
    numbers = {path: number for number, path in enumerate(snapshot.paths)}
    changed = set(part.found.changed)
    freshen(part.found, snapshot)
    places = []
    for path, (flags, seen) in watched.paths.items():
        number = numbers.get(path)
        signature, digest = seen.signature or (0, 0, 0, 0), seen.digest or form.UNKNOWN
        if number is None:
            number = numbers[path] = len(snapshot.paths)
            snapshot.append(path, flags | young(seen), signature, digest)
        elif (
            number in changed
            or flags & form.ROLES == form.OUTPUT  # this build put it there
            or (digest != form.UNKNOWN and digest == snapshot.digest(number))
        ):
            snapshot.put(number, _both(snapshot.flags[number], flags) | young(seen), signature, digest)
            changed.discard(number)
        places.append(number)
    told_again(part.found, snapshot, changed, part.edits)
    return places


def _both(old: int, new: int) -> int:
    """What a path is that was one thing to the rest and another to the part."""
    loaded = [flags for flags in (old, new) if flags & form.ROLES == form.LOADED]
    laid = form.LAID if loaded and all(flags & form.LAID for flags in loaded) else 0
    return new & form.KINDS | min(old & form.ROLES, new & form.ROLES) | laid


def _changes(part: PartialBuild, own: Mapping[str, StoredLabel]) -> dict[str, StoredLabel]:
    """What is known now of each label that the part had to do with."""
    gone, changes = part.gone, {}
    for label in {*own, *part.relaid, *part.former, *(label for label, _ in gone)}:
        before, now = part.graph.label(label), own.get(label, StoredLabel({}))
        kept = {name: action for name, action in before.actions.items() if (label, name) not in gone}
        goal = before.goal if part.is_of_rest(label) else now.goal
        layout = now.layout or (None if label in part.relaid else before.layout)
        changes[label] = StoredLabel(kept | now.actions, goal, layout)
    return changes


def _answer(part: PartialBuild, own: Answer) -> Answer:
    said, tests = part.diagnostics() + own.diagnostics, part.tests() + own.tests
    return Answer(part.names, part.outputs(own.outputs), said, tests)


def _says_otherwise(old: StoredGraph, new: StoredGraph) -> bool:
    """Whether a build with nothing to do tells of another number of actions, other outputs, warnings or verdicts."""
    before, now = old.answer, new.answer
    return (
        old.count != new.count
        or list(before.outputs.items()) != list(now.outputs.items())
        or any(map(_differ, (before.diagnostics, before.tests), (now.diagnostics, now.tests)))
    )


def _differ(one: Sequence[object], other: Sequence[object]) -> bool:
    return sorted(map(repr, one)) != sorted(map(repr, other))
