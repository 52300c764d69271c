"""The last lines of a build: what it made, what it reused, how long it took, where the files are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

from axbuild.codes import INTERRUPTED
from axbuild.dataclass import replace
from axbuild.engine.records.events import (
    WOULD_RUN,
    ActionFinished,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    Event,
    TestResult,
)
from axbuild.engine.run.claims import FOLDER
from axbuild.errors import AxError, counted, visible
from axbuild.report.board import Board
from axbuild.report.shown import shown
from axbuild.report.style import UNBROKEN, Style, duration

Item = TypeVar("Item")

MOST_PATHS = 12
MOST_TARGETS = 20
MOST_LINKS = 5
MOST_NAMES = 10
MOST_ERRORS = 20
_PATH_SECONDS, _SHARE = 0.5, 0.05
"""how long a critical path must be to be told of, and which share of it a link to be named"""


class Summary:
    """Folds a build; `text` for people, `record` for `--json`. whole: cut nothing short.

    retold: what people read in place of an error. base: the way from where the user stands to the workspace's root, for
    the paths that people see.
    """

    def __init__(
        self, *, whole: bool = False, base: str = "", retold: Callable[[AxError], AxError] | None = None
    ) -> None:
        self._whole, self._retold = whole, retold
        self.base = base
        self.warnings = 0
        self.notes: defaultdict[str, list[str]] = defaultdict(list)
        self.tests: list[TestResult] = []
        self.told: set[str] = set()
        self.failed: list[ActionFinished] = []
        self.planned: list[ActionFinished] = []
        self._board = Board()
        self.started: BuildStarted | None = None
        self.finished: BuildFinished | None = None

    def __call__(self, event: Event) -> None:
        self._board(event)
        match event:
            case BuildStarted():
                self.started = event
            case Diagnostic(code=""):
                self.notes[event.label].append(event.sentence)
            case Diagnostic():
                self.warnings += 1
            case TestResult():
                self.tests.append(event)
            case ActionFinished(status="failed"):
                self.failed.append(event)
                self.told.add(event.reason)
            case ActionFinished(status="skipped"):
                self.planned.append(event)
            case BuildFinished():
                self.finished = event

    def text(self, out: TextIO) -> str:
        """Files by target, what failed, the counts, and what took longest."""
        if self.finished is None:
            return ""
        files = [(label, paths) for label, paths in self.finished.outputs.items() if paths]
        first = dict(self._some(files, MOST_TARGETS))
        style, end = Style(out), shown(replace(self.finished, outputs=first))
        lines: list[str] = []
        if self.command != "test":
            lines += self._files(style, end, len(files) - len(first))
        lines += self._failed(style)
        if end.unbuilt and not any(end.counts.values()):
            told = style.at_words(f"failed: nothing built; {self._mistakes(end)}")
            lines.append(told.replace("failed", style("red", "failed"), 1))
        elif any(end.counts.values()) or not end.errors:
            lines.append(style.at_words(self._plan(end) if self.dry_run else self._counts(style, end)))
        lines += self._longest(style, end)
        return "\n".join(lines)

    def _files(self, style: Style, end: BuildFinished, more: int) -> list[str]:
        """more: how many targets are not told of."""
        lines: list[str] = []
        for label, paths in end.outputs.items():
            lines.append(style("bold", label))
            lines += [f"  {self.base}{path}" for path in self._some(paths, MOST_PATHS)]
            if len(paths) > MOST_PATHS and not self._whole:
                lines.append(style("dim", f"  and {len(paths) - MOST_PATHS} more"))
            lines += [style.at_words(f"  {note}") for note in self.notes[label]]
        if more:
            lines.append(style("dim", f"and {counted(more, 'more target')}, all below {self.base}{FOLDER}/"))
        return lines

    def _some(self, items: Sequence[Item], most: int) -> Sequence[Item]:
        return items if self._whole else items[:most]

    def _failed(self, style: Style) -> list[str]:
        """Names again, where they are several or may have scrolled away."""
        names = [f"{event.label} {event.action}" for event in self.failed]
        names += [test.label for test in self.tests if not test.passed]
        if len(names) < 2:
            return []
        more = [f"  and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES and not self._whole else []
        return [style("red", "failed"), *(f"  {visible(name)}" for name in self._some(names, MOST_NAMES)), *more]

    def _longest(self, style: Style, end: BuildFinished) -> list[str]:
        """The critical path, where there is one to speak of: what to make faster, or to cut in parts."""
        path = end.critical_path
        total = sum(link["seconds"] for link in path)
        if len(path) < 2 or total < _PATH_SECONDS:
            return []
        slow = sorted((link for link in path if link["seconds"] >= _SHARE * total), key=lambda link: -link["seconds"])
        shown = self._some(slow, MOST_LINKS)
        head = f"critical path: {duration(total)} in {len(path)} actions"
        lines = [
            f"  {duration(link['seconds']):>8}  {link['label']} {link['action']}" for link in path if link in shown
        ]
        return [style("dim", line) for line in (f"{head}, the slowest of them" if lines else head, *lines)]

    def untold(self) -> list[AxError]:
        """Errors that stand in no action's line: of the request, the BUILD files, the store."""
        records = self.finished.errors if self.finished else ()
        return [AxError.from_record(record) for record in records if record["sentence"] not in self.told]

    def errors_text(self) -> Iterator[str]:
        """The errors that no line has told yet; of many the first, which are the most useful ones."""
        errors = self.untold()
        told = self._some(errors, MOST_ERRORS)
        yield from map(str, map(self._retold, told) if self._retold else told)
        if len(errors) > MOST_ERRORS and not self._whole:
            yield f"and {counted(len(errors) - MOST_ERRORS, 'more mistake')}, which --verbose tells too"

    def _mistakes(self, end: BuildFinished) -> str:
        found = len(self.untold())
        keep = "1 mistake keeps" if found == 1 else f"{found} mistakes keep"
        return f"{keep} {counted(end.unbuilt, 'target')} from being built"

    @property
    def dry_run(self) -> bool:
        return self.started is not None and self.started.dry_run

    @property
    def command(self) -> str:
        return self.started.command if self.started else ""

    def _plan(self, end: BuildFinished) -> str:
        would = sum(event.reason.startswith(WOULD_RUN) for event in self.planned)
        least = "at least " if self._board.open_expansions > 0 else ""
        more = len(self.planned) - would
        parts = [f"would run {least}{would}"]
        if more:
            parts.append(f"may run {least}{more} more, as far as inputs come out changed")
        parts.append(f"{end.counts['up_to_date'] + end.counts['cached']} reused")
        return "dry run: " + ", ".join(parts)

    def _counts(self, style: Style, end: BuildFinished) -> str:
        counts = end.counts
        reused = counts["up_to_date"] + counts["cached"]
        parts = [f"{counts['executed']} built"]
        from_cache = f" ({counts['cached']} from the cache)" if counts["cached"] else ""
        parts.append(f"{reused} reused{from_cache}")
        if counts["failed"]:
            parts.append(style("red", f"{counts['failed']} failed"))
        if counts["skipped"]:
            parts.append(f"{counts['skipped']} skipped")
        if end.unbuilt:
            parts.append(style("red", self._mistakes(end)))
        if self.tests:
            passed = sum(test.passed for test in self.tests)
            parts.append(f"{passed} of {len(self.tests)} checks passed")
        if self.warnings:
            parts.append(style("yellow", counted(self.warnings, "warning")))
        ended = {0: style("green", "done"), INTERRUPTED: style("yellow", "interrupted")}
        return f"{ended.get(end.exit_code, style('red', 'failed'))}: {', '.join(parts)} {_in(end)}"

    def record(self) -> dict[str, Any]:
        end = self.finished
        if end is None:
            return {}
        tests = [
            {name: getattr(test, name) for name in ("label", "passed", "sentence", "cached", "built", "seconds")}
            for test in self.tests
        ]
        planned = {"planned": [_planned(event) for event in self.planned]} if self.dry_run else {}
        return planned | {
            "build": self.started.id if self.started else "",
            "number": self.started.number if self.started else 0,
            "exit_code": end.exit_code,
            "seconds": end.seconds,
            "counts": end.counts,
            "outputs": end.outputs,
            "notes": {label: self.notes[label] for label in end.outputs if self.notes[label]},
            "tests": tests,
            "errors": list(end.errors),
            "unbuilt": end.unbuilt,
            "critical_path": list(end.critical_path),
        }


def _in(end: BuildFinished) -> str:
    return f"in {duration(end.seconds)}".replace(" ", UNBROKEN)


def _planned(event: ActionFinished) -> dict[str, Any]:
    """An action of a dry run: certain where its inputs are known, else it may turn out to be valid."""
    certain = event.reason.startswith(WOULD_RUN)
    return {"label": event.label, "action": event.action, "certain": certain, "causes": list(event.causes)}
