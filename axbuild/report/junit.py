"""Test results as JUnit XML, in the form that CI servers read: a suite a package, a case a check."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from axbuild.engine.records.events import BuildFinished, BuildStarted, Event, TestResult
from axbuild.report.lines import details
from axbuild.report.shown import shown
from axbuild.workspace.label import split

# XML 1.0 has no way to write these, not even as references.
_UNSPEAKABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """A listener; `text` is the whole file. A check that failed is a failure, one that came to no verdict an error."""

    def __init__(self) -> None:
        self._began = 0.0
        self._seconds = 0.0
        self._results: list[TestResult] = []

    def __call__(self, event: Event) -> None:
        event = shown(event)
        match event:
            case BuildStarted():
                self._began = event.time
            case TestResult():
                self._results.append(event)
            case BuildFinished():
                self._seconds = event.seconds

    def text(self) -> str:
        suites: defaultdict[str, list[TestResult]] = defaultdict(list)
        for result in self._results:
            suites[split(result.label)[0]].append(result)
        lines = ['<?xml version="1.0" encoding="UTF-8"?>']
        lines.append(f'<testsuites name="axbuild" {_counts(self._results)} time="{self._seconds:.3f}">')
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._began))
        for package, results in sorted(suites.items()):
            seconds = sum(result.seconds for result in results)
            lines.append(
                f'  <testsuite name={_attribute(f"//{package}")} {_counts(results)} skipped="0" '
                f'time="{seconds:.3f}" timestamp="{stamp}">'
            )
            for result in results:
                lines += _case(package, result)
            lines.append("  </testsuite>")
        return "\n".join([*lines, "</testsuites>", ""])


def _counts(results: Sequence[TestResult]) -> str:
    failures = sum(result.built and not result.passed for result in results)
    errors = sum(not result.built for result in results)
    return f'tests="{len(results)}" failures="{failures}" errors="{errors}"'


def _case(package: str, result: TestResult) -> list[str]:
    name = split(result.label)[1]
    head = f'    <testcase classname={_attribute(f"//{package}")} name={_attribute(name)} time="{result.seconds:.3f}"'
    if result.passed:
        said = f"{result.sentence}{' (cached)' if result.cached else ''}"
        return [f"{head}>", f"      <system-out>{_text(said)}</system-out>", "    </testcase>"]
    kind, word = ("failure", "verdict") if result.built else ("error", "not built")
    more = "\n".join([result.sentence, *details(result.verdict)])
    inner = f'      <{kind} message={_attribute(result.sentence)} type="{word}">{_text(more)}</{kind}>'
    return [f"{head}>", inner, "    </testcase>"]


def _attribute(text: str) -> str:
    return quoteattr(_UNSPEAKABLE.sub("\ufffd", text), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def _text(text: str) -> str:
    return escape(_UNSPEAKABLE.sub("\ufffd", text))
