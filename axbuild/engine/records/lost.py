"""What a build finds missing or damaged in its cache: one line, however much it is, since all of it is made again."""

from __future__ import annotations

from collections.abc import Iterator

from axbuild.engine.records.events import ActionFinished, Event
from axbuild.errors import counted
from axbuild.store.faults import BlobLost
from axbuild.store.results import LOST_ROW

CODES = (BlobLost.code, LOST_ROW)


class Lost:
    """Folds what the store reports and which actions ran for want of a blob."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._blobs: list[str] = []
        self._again: dict[tuple[str, str], str] = {}
        """action -> "missing" or "corrupt" """

    def report(self, code: str, sentence: str) -> None:
        (self._rows if code == LOST_ROW else self._blobs).append(sentence)

    def __call__(self, event: Event) -> None:
        if isinstance(event, ActionFinished) and event.status == "executed":
            # Of a row that was refused the store has told itself.
            lost = ("blob",) if self._rows else ("blob", "result")
            states = [cause["new"] for cause in event.causes if cause["what"] in lost]
            if states:
                self._again[event.label, event.action] = "corrupt" if "corrupt" in states else "missing"

    def told(self) -> Iterator[tuple[str, str]]:
        """(code, sentence) of what was lost."""
        if self._again:
            # One damaged blob may be several results': it is removed where the first of them needs it.
            what = "missing or damaged" if "corrupt" in self._again.values() else "missing"
            were = "was" if len(self._again) == 1 else "were"
            first = " ".join(next(iter(self._again)))
            more = "" if len(self._again) == 1 else "the first "
            results = counted(len(self._again), "stored result")
            yield BlobLost.code, f"{results} {were} {what}; made again ({more}of {first})"
        elif self._blobs:
            yield BlobLost.code, _first_of(self._blobs)
        if self._rows:
            yield LOST_ROW, _first_of(self._rows)


def _first_of(sentences: list[str]) -> str:
    more = f", and {len(sentences) - 1} more like it" if len(sentences) > 1 else ""
    return f"{sentences[0]}{more}"
