"""Two builds on record side by side: which keys differ and by what, and which checks came out otherwise.

The records hold keys; what a key was made of stands with its result in the store, which outlives the result's bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from axbuild.dataclass import dataclass
from axbuild.engine.records.events import ActionFinished, TestResult
from axbuild.engine.records.explain import Cause, CodeOf, diff
from axbuild.engine.records.history import BuildRecord
from axbuild.store.result import files_of
from axbuild.workspace.artifact import ActionId


class Stored(Protocol):
    """What is kept with a key (`store.results.ActionResult`)."""

    @property
    def key_record(self) -> dict[str, Any]: ...

    @property
    def outputs(self) -> Mapping[str, Any]: ...


class RecordedResults(Protocol):
    """`store.results.Results`, as far as it is asked here."""

    def get(self, key: str) -> Stored | None: ...

    def code(self, digest: str) -> Mapping[str, str] | None: ...


@dataclass(frozen=True)
class Moved:
    """One action with another key in the second build. causes: empty where the store has forgotten one of the keys.

    same_outputs: None where that cannot be told, since one of them failed or is forgotten.
    """

    before: ActionFinished
    after: ActionFinished
    causes: tuple[Cause, ...]
    same_outputs: bool | None


@dataclass(frozen=True)
class Difference:
    """moved: in the second build's order. only: actions that one build looked at and the other did not.

    A build answered in part by a snapshot has no actions of the rest: those are neither here nor there.
    """

    first: BuildRecord
    second: BuildRecord
    moved: list[Moved]
    same: int
    only_first: list[ActionFinished]
    only_second: list[ActionFinished]
    checks: list[tuple[TestResult | None, TestResult]]


def compare(
    first: BuildRecord, second: BuildRecord, between: Sequence[BuildRecord], store: RecordedResults
) -> Difference:
    """`between`: the records after the first, up to the second, which know sources by their paths."""
    old, new = first.actions, second.actions
    pairs = [(old[id_], event) for id_, event in new.items() if id_ in old]
    differing = [(before, after) for before, after in pairs if before.key and after.key and before.key != after.key]
    results = {event.key: store.get(event.key) for pair in differing for event in pair}
    made = _outputs(differing, results)
    names = _names(between)
    return Difference(
        first,
        second,
        [_moved(before, after, results, made, names, store.code) for before, after in differing],
        len(pairs) - len(differing),
        [event for id_, event in old.items() if id_ not in new],
        [event for id_, event in new.items() if id_ not in old],
        list(_checks(first, second)),
    )


def _moved(
    before: ActionFinished,
    after: ActionFinished,
    results: Mapping[str, Stored | None],
    made: Mapping[str, str],
    names: Mapping[tuple[ActionId, str], str],
    code_of: CodeOf,
) -> Moved:
    one, other = results[before.key], results[after.key]
    if one is None or other is None:
        return Moved(before, after, (), None)
    id_ = after.label, after.action
    causes = diff(one.key_record, other.key_record, {}, code_of)
    named = tuple(
        Cause(c.what, c.name, c.old, c.new, names.get((id_, c.name)) or made.get(str(c.new), ""))
        if c.what == "file"
        else c
        for c in causes
    )
    same = None if "failed" in (before.status, after.status) else one.outputs == other.outputs
    return Moved(before, after, named, same)


def _outputs(
    differing: Sequence[tuple[ActionFinished, ActionFinished]], results: Mapping[str, Stored | None]
) -> dict[str, str]:
    """Digest -> the output it is. An input that moved is a source, or an output of an action that moved as well."""
    found: dict[str, str] = {}
    for _, after in differing:
        result = results[after.key]
        for name, digest in files_of(result.outputs) if result else ():
            found[digest] = f"{name} of {after.label} {after.action}"
    return found


def _names(records: Sequence[BuildRecord]) -> dict[tuple[ActionId, str], str]:
    """(action, input) -> what a build between the two called that input when it moved."""
    found: dict[tuple[ActionId, str], str] = {}
    for record in records:
        for id_, event in record.actions.items():
            for cause in event.causes:
                if cause["what"] == "file" and cause["where"]:
                    found.setdefault((id_, cause["name"]), cause["where"])
    return found


def _checks(first: BuildRecord, second: BuildRecord) -> Iterator[tuple[TestResult | None, TestResult]]:
    """Checks whose verdict, or the sentence of it, is another one; of a check with several, each beside its own."""
    old: dict[str, list[TestResult]] = {}
    for event in first.of(TestResult):
        old.setdefault(event.label, []).append(event)
    for event in second.of(TestResult):
        before = old[event.label].pop(0) if old.get(event.label) else None
        if before is None or (before.passed, before.sentence) != (event.passed, event.sentence):
            yield before, event
