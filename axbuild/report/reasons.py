"""What `why`, `diff` and `builds` print: pure text of records, wrapped to a terminal's width where there is one."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO, TypeVar

from axbuild.engine.records.compare import Difference, Moved
from axbuild.engine.records.events import WOULD_RUN, ActionFinished, TestResult
from axbuild.engine.records.explain import Cause, is_first, sentence
from axbuild.engine.records.history import BuildRecord
from axbuild.engine.records.why import Reason, Why
from axbuild.errors import counted
from axbuild.report.style import Style, clock, duration

MOST_CAUSES = 6
_LONGEST_NAME = 32
_WORDS = {
    "executed": "ran",
    "cached": "from the cache",
    "up_to_date": "valid",
    "failed": "failed",
    "skipped": "skipped",
}
_COLOURS = {"executed": "cyan", "cached": "cyan", "failed": "red", "up_to_date": "dim", "skipped": "dim"}
_ENDED = {0: "done", 1: "failed", 2: "bad input", 3: "axbuild failed", 130: "interrupted"}


class Sheet:
    """Lines for one stream: coloured and wrapped on a terminal, as they are elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.style = Style(out)
        self._width = shutil.get_terminal_size().columns if out.isatty() else 0
        self._lines: list[str] = []

    def add(self, text: str = "", *, colour: str = "", head: str = "", indent: int = 0) -> None:
        """`head` stands before the text, uncounted colour and all; lines that follow are indented by `indent`."""
        room = max(20, self._width - indent)
        # Width is of the plain text: colour goes on when the breaks are known.
        parts = textwrap.wrap(text, room, break_on_hyphens=False) if self._width and len(text) > room else [text]
        for number, part in enumerate(parts or [""]):
            painted = self.style(colour, part) if colour else part
            self._lines.append(f"{head or ' ' * indent if not number else ' ' * indent}{painted}".rstrip())

    def text(self) -> str:
        return "\n".join(self._lines)


Where = Callable[[str, str], str]
"""(label, parameter) -> file:line of the attribute behind it, "" where there is none"""


def nowhere(_label: str, _parameter: str) -> str:
    return ""


def why_text(found: Why, pending: Sequence[ActionFinished], out: TextIO, where: Where = nowhere) -> str:
    """The last build's actions by target, and below them what an edit since then would make run."""
    page = Sheet(out)
    page.add(f"build {found.record.number}, {clock(found.record.time)}: {found.record.command}", colour="bold")
    _first_causes(page, [(r.event, Cause(**cause)) for r in found.reasons for cause in r.event.causes], where)
    width = _width(reason.event.action for reason in found.reasons)
    for label, reasons in _by_target(found.reasons, lambda reason: reason.event.label):
        page.add()
        page.add(label, colour="bold")
        sinces = {_since(reason, found.oldest) for reason in reasons}
        if len(sinces) == 1 and all(reason.event.status == "up_to_date" for reason in reasons):
            names = ", ".join(shortened([reason.event.action for reason in reasons]))
            page.add(f"valid since {sinces.pop()}: {names}", colour="dim", head="  ", indent=4)
            continue
        for reason in reasons:
            _action(page, reason.event, width, _told(reason, found.oldest))
    if found.left_out:
        page.add(f"and {counted(found.left_out, 'more action')}, of which the record of that build had no room to tell")
    _pending(page, pending)
    return page.text()


Row = TypeVar("Row")


def _by_target(rows: Sequence[Row], label_of: Callable[[Row], str]) -> list[tuple[str, list[Row]]]:
    """Rows under their labels, in the order in which the targets were done: what is needed comes first."""
    last = {label_of(row): number for number, row in enumerate(rows)}
    return [(label, [row for row in rows if label_of(row) == label]) for label in sorted(last, key=last.__getitem__)]


def _first_causes(page: Sheet, causes: Sequence[tuple[ActionFinished, Cause]], where: Where = nowhere) -> None:
    """What moved of its own, once: everything else follows from it."""
    who: dict[str, list[ActionFinished]] = {}
    for event, cause in causes:
        if is_first(cause):
            place = where(event.label, cause.name) if cause.what == "parameter" else ""
            who.setdefault(f"{told(event, cause)}{f' at {place}' if place else ''}", []).append(event)
    if not who:
        return
    page.add()
    page.add("because", colour="bold")
    sentences = [
        f"{text} ({f'{len(events)} actions' if len(events) > 1 else f'{events[0].label} {events[0].action}'})"
        for text, events in who.items()
    ]
    for line in shortened(sentences):
        page.add(line, head="  ", indent=4)


def _action(page: Sheet, event: ActionFinished, width: int, told: tuple[str, list[str]]) -> None:
    word, causes = told
    name = f"  {event.action:<{width}}  "
    word = f"{word:<5}"
    head = name + page.style(_COLOURS[event.status], word)
    if not causes:
        page.add("", head=head)
        return
    indent = len(name) + len(word) + 2
    page.add(causes[0], head=f"{head}  ", indent=indent, colour="dim" if event.status == "up_to_date" else "")
    for cause in causes[1:]:
        page.add(cause, indent=indent)


def _told(reason: Reason, oldest: BuildRecord) -> tuple[str, list[str]]:
    event = reason.event
    if event.status == "up_to_date":
        return "valid", [f"since {_since(reason, oldest)}"]
    word = _WORDS[event.status]
    return (word, _causes(event)) if event.status in ("executed", "cached") else (word, [event.reason])


def _since(reason: Reason, oldest: BuildRecord) -> str:
    """The build, and when it began: one text for all that it made."""
    made = reason.since
    if made is None:
        return f"before build {oldest.number}, {clock(oldest.time)}"
    return f"build {made.build}, {clock(made.time)}"


def _causes(event: ActionFinished) -> list[str]:
    return shortened([told(event, Cause(**cause)) for cause in event.causes])


def told(event: ActionFinished, cause: Cause) -> str:
    """The sentence of a cause, in the light of how the action ended."""
    if cause.what == "first" and event.status == "cached":
        return "first seen under this label; the result was there"
    return sentence(cause)


def shortened(sentences: list[str]) -> list[str]:
    """The first of them, and how many more there are."""
    more = len(sentences) - MOST_CAUSES
    return [*sentences[:MOST_CAUSES], f"and {more} more"] if more > 0 else sentences


def _pending(page: Sheet, pending: Sequence[ActionFinished]) -> None:
    would = [event for event in pending if event.status == "failed" or event.reason.startswith(WOULD_RUN)]
    if not would:
        return
    page.add()
    page.add("edited since then; a build now would run", colour="yellow")
    width = _width(f"{event.label} {event.action}" for event in would)
    for event in would:
        name = f"  {f'{event.label} {event.action}':<{width}}  "
        causes = _causes(event) if event.status == "skipped" else [event.reason]
        page.add((causes or [""])[0], head=name, indent=len(name))
        for cause in causes[1:]:
            page.add(cause, indent=len(name))
    more = len(pending) - len(would)
    if more > 0:
        page.add(f"  and at most {more} more, as far as their inputs come out changed")


def _width(names: Iterable[str]) -> int:
    return min(_LONGEST_NAME, max(map(len, names), default=0))


def diff_text(found: Difference, out: TextIO) -> str:
    """Which keys differ and why, which actions only one build had, which checks came out otherwise."""
    page = Sheet(out)
    for mark, record in (("-", found.first), ("+", found.second)):
        release = f", axbuild {record.release}" if found.first.release != found.second.release else ""
        page.add(f"{mark} build {record.number}, {clock(record.time)}{release}: {record.command}", colour="bold")
    _first_causes(page, [(moved.after, cause) for moved in found.moved for cause in moved.causes])
    width = _width(moved.after.action for moved in found.moved)
    for label, several in _by_target(found.moved, lambda moved: moved.after.label):
        page.add()
        page.add(label, colour="bold")
        for moved in several:
            name = f"  {moved.after.action:<{width}}  "
            first, *rest = _of_moved(moved)
            page.add(first, head=name, indent=len(name))
            for line in rest:
                page.add(line, indent=len(name))
    for record, events in ((found.first, found.only_first), (found.second, found.only_second)):
        if events:
            page.add()
            page.add(f"only in build {record.number}", colour="bold")
            for line in shortened([f"{event.label} {event.action}" for event in events]):
                page.add(f"  {line}")
    if found.checks:
        page.add()
        page.add("checks", colour="bold")
        for before, after in found.checks:
            _check(page, before, after)
    page.add()
    count = len(found.moved)
    page.add(f"{counted(count, 'action')} moved, {found.same} the same")
    return page.text()


def _of_moved(moved: Moved) -> list[str]:
    if not moved.causes:
        return [
            f"key {moved.before.key[:12]} -> {moved.after.key[:12]}; the store has forgotten what they were made of"
        ]
    kept = ["its outputs are the same"] if moved.same_outputs else []
    return [*shortened([sentence(cause) for cause in moved.causes]), *kept]


def _check(page: Sheet, before: TestResult | None, after: TestResult) -> None:
    words = [_verdict(one) for one in (before, after) if one is not None]
    page.add(f"  {after.label}  {' -> '.join(dict.fromkeys(words))}")
    for mark, one in (("-", before), ("+", after)):
        if one is not None:
            page.add(one.sentence, head=f"    {mark} ", indent=6)


def _verdict(result: TestResult) -> str:
    return "passed" if result.passed else "failed" if result.built else "not built"


def builds_text(records: Sequence[BuildRecord], out: TextIO) -> str:
    """A line a build, the newest last."""
    page = Sheet(out)
    if not records:
        page.add("no build is on record in this workspace yet")
    for record in reversed(records):
        page.add(record.command, head=f"{record.number:>4}  {clock(record.time)}  ", indent=27)
        page.add(_outcome(record), colour="dim", head=" " * 27, indent=27)
    return page.text()


def _outcome(record: BuildRecord) -> str:
    end = record.finished
    if end is None:
        return "no end on record: it runs, or was killed"
    counts = ", ".join(_counted(end.counts))
    tests = record.of(TestResult)
    failed = sum(not test.passed for test in tests)
    parts = [
        counts or ("" if end.errors else "nothing to do"),
        f"{failed} of {len(tests)} checks failed" if failed else "",
    ]
    said = ", ".join(
        part for part in (f"{_ENDED.get(end.exit_code, 'failed')} in {duration(end.seconds)}", *parts) if part
    )
    return f"{said}: {end.errors[0]['sentence']}" if end.errors else said


def _counted(counts: dict[str, int]) -> Iterator[str]:
    reused = counts["up_to_date"] + counts["cached"]
    for count, word in ((counts["executed"], "built"), (reused, "reused"), (counts["failed"], "failed")):
        if count:
            yield f"{count} {word}"
