"""The last lines of a build: what it made, what it reused, how long it took, where the files are."""

from __future__ import annotations

from typing import Any, TextIO

from axbuild.engine.events import (
    WOULD_RUN,
    ActionFinished,
    BuildFinished,
    BuildStarted,
    Event,
    TestResult,
)
from axbuild.errors import INTERRUPTED, AxError
from axbuild.report.board import Board
from axbuild.report.lines import duration
from axbuild.report.style import Style

MOST_PATHS = 12


class Summary:
    """Folds a build; `text` for people, `record` for `--json`."""

    def __init__(self) -> None:
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
        """Files by target, errors that no action's line has told, and the counts."""
        style, end = Style(out), self.finished
        if end is None:
            return ""
        lines: list[str] = []
        for label, paths in end.outputs.items():
            if paths and self.command != "test":
                lines.append(style("bold", label))
                lines += [f"  {path}" for path in paths[:MOST_PATHS]]
                if len(paths) > MOST_PATHS:
                    lines.append(style("dim", f"  and {len(paths) - MOST_PATHS} more"))
        if any(end.counts.values()) or not end.errors:
            lines.append(self._plan(end) if self.started and self.started.dry_run else self._counts(style, end))
        return "\n".join(lines)

    def untold(self) -> list[AxError]:
        """Errors that stand in no action's line: of the request, the BUILD files, the store."""
        records = self.finished.errors if self.finished else ()
        return [AxError.from_record(record) for record in records if record["sentence"] not in self.told]

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
        if self.tests:
            passed = sum(test.passed for test in self.tests)
            parts.append(f"{passed} of {len(self.tests)} checks passed")
        ended = {0: style("green", "done"), INTERRUPTED: style("yellow", "interrupted")}
        return f"{ended.get(end.exit_code, style('red', 'failed'))}: {', '.join(parts)} in {duration(end.seconds)}"

    def record(self) -> dict[str, Any]:
        end = self.finished
        if end is None:
            return {}
        tests = [{"label": test.label, "passed": test.passed, "sentence": test.sentence} for test in self.tests]
        build = self.started.id if self.started else ""
        return {
            "build": build,
            "exit_code": end.exit_code,
            "seconds": end.seconds,
            "counts": end.counts,
            "outputs": end.outputs,
            "tests": tests,
            "errors": list(end.errors),
        }
