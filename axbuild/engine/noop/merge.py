"""The stored graph after a build of a part: what the part is now takes its old place, and what nobody needs goes.

Numbers of paths stay as they are: new paths come behind, and one that nobody asks for any more is looked at in vain
until the next build of everything. An entry of the snapshot is replaced only where the build was told that the path
had changed: what changed meanwhile must still differ for the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.edits import told_again
from axbuild.engine.noop.meaning import KEY, LABEL, NAME, OWNERS, PLACED, SOURCES, WAITS, young
from axbuild.engine.noop.partial import PartialBuild
from axbuild.engine.noop.watch import Watched
from axbuild.engine.records.events import ActionFinished
from axbuild.workspace.artifact import ActionId


@dataclass
class Merged:
    """The snapshot with what is new in it. retold: whether the next build with nothing to do says something else."""

    snapshot: form.Snapshot
    graph: dict[str, Any]
    retold: bool


def merge(part: PartialBuild, actions: Mapping[ActionId, ActionFinished], watched: Watched | None) -> Merged | None:
    """After a build of the part that succeeded; None: the snapshot is not to be trusted any more."""
    if watched is None or not _as_expected(part, actions):
        return None
    snapshot = part.found.snapshot
    assert snapshot is not None
    places = _paths(part, snapshot, watched)
    before = {name: part.graph[name] for name in ("actions", "targets", "diagnostics", "tests")}
    graph = _Graphs(part, watched.graph, places).merged()
    if part.edits is not None:
        rules = {places[number] for number in watched.meaning["rules"]}
        part.edits.learn(part.names, rules, watched.meaning["packages"])
        snapshot.meaning = part.edits.packed()
    return Merged(snapshot, graph, _says_otherwise(before, graph))


def _as_expected(part: PartialBuild, actions: Mapping[ActionId, ActionFinished]) -> bool:
    """Whether nothing ran or came out that no edit had reached: a result may have been lost, and what others took from
    it may be another one now."""
    labels = {label for label, _ in actions} - part.relaid
    for number, (label, name, key, *_) in enumerate(part.graph["actions"]):
        if label in labels and number not in part.dirty:
            now = actions.get((label, name))
            if now is not None and (now.key != key or now.status == "executed"):
                return False
    return True


def _paths(part: PartialBuild, snapshot: form.Snapshot, watched: Watched) -> list[int]:
    """Bring the snapshot's paths up to date; the numbers there of the paths of the part."""
    numbers = {path: number for number, path in enumerate(snapshot.paths)}
    changed = set(part.found.changed)
    form.freshen(part.found, snapshot)
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


class _Graphs:
    """Two graphs becoming one; `places`: number of a path in the part -> in the snapshot."""

    def __init__(self, part: PartialBuild, own: Mapping[str, Any], places: list[int]) -> None:
        self._part, self._own, self._places = part, own, places
        self._old: list[Any] = list(part.graph["actions"])
        self._at: list[int] = []

    def merged(self) -> dict[str, Any]:
        part, old, own = self._part, self._part.graph, self._own
        moved = self._actions()
        targets = {one[LABEL]: one for one in old["targets"] if one[LABEL] in part.rest}
        if moved is not None:
            for one in targets.values():
                one[OWNERS] = [moved[number] for number in one[OWNERS]]
        for label, owners, read, placed in own["targets"]:
            targets[label] = [label, [self._at[n] for n in owners], self._put(read), self._put(placed)]
        laid = old["laid"]
        for label in part.relaid:
            laid.pop(label, None)
        laid |= {label: [needs, self._put(looked)] for label, (needs, looked) in own["laid"].items()}
        return {
            "actions": self._old,
            "targets": [targets[label] for label in part.goals],
            "diagnostics": part.diagnostics() + own["diagnostics"],
            "tests": [one for one in old["tests"] if one[LABEL] in part.rest] + own["tests"],
            "laid": laid,
            "named": list(part.names.items()),
        }

    def _put(self, paths: list[int]) -> list[int]:
        return [self._places[number] for number in paths]

    def _actions(self) -> dict[int, int] | None:
        """Replace and add the part's actions, then drop what nobody needs: old number -> new one, where any moved."""
        old, own = self._old, self._own["actions"]
        gone, labels = self._part.gone, {label for label, _ in self._part.ids}
        known = {(action[LABEL], action[NAME]): n for n, action in enumerate(old) if action[LABEL] in labels}
        fresh = [id_ for id_ in dict.fromkeys((one[LABEL], one[NAME]) for one in own) if id_ not in known]
        known |= {id_: len(old) + n for n, id_ in enumerate(fresh)}
        self._at = at = [known[one[LABEL], one[NAME]] for one in own]
        old += [None] * len(fresh)
        for one, number in zip(own, at, strict=True):
            waits, sources = [at[n] for n in one[WAITS]], self._put(one[SOURCES])
            old[number] = [one[LABEL], one[NAME], one[KEY], waits, sources, one[-1]]
        if not gone:
            return None
        kept = [number for number in range(len(old)) if number not in gone]
        moved = {number: place for place, number in enumerate(kept)}
        self._old = [old[number] for number in moved]
        for action in self._old:
            action[WAITS] = [moved[number] for number in action[WAITS]]
        self._at = [moved[number] for number in at]
        return moved


def _says_otherwise(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a build with nothing to do tells of another number of actions, other outputs, warnings or verdicts."""
    if any(len(old[name]) != len(new[name]) for name in old):
        return True
    if any(sorted(map(repr, old[name])) != sorted(map(repr, new[name])) for name in ("diagnostics", "tests")):
        return True
    pairs = zip(old["targets"], new["targets"], strict=True)
    return any(one is not other and _shown(one) != _shown(other) for one, other in pairs)


def _shown(target: list[Any]) -> tuple[str, list[int]]:
    return target[LABEL], target[PLACED]
