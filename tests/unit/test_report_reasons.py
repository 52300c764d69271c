"""The texts of `why`, `diff` and `builds`, whole, as a user reads them."""

import io
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from axbuild.engine.records.compare import compare
from axbuild.engine.records.events import ActionFinished, BuildFinished, BuildStarted, TestResult
from axbuild.engine.records.history import History
from axbuild.engine.records.why import why
from axbuild.report.reasons import builds_text, diff_text, why_text

NO_COUNTS = dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0)
KEY = {"code": "c" * 64, "tools": {}, "params": {}, "inputs": {}, "platform": None, "stage": "t:f"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@dataclass
class Stored:
    key_record: dict
    outputs: dict = field(default_factory=dict)


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("NO_COLOR", "1")
    time.tzset()
    monkeypatch.setattr("axbuild.engine.records.history.time.time", lambda: 1_795_395_834.0)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "builds")


def action(label, name, status="executed", key="k", causes=(), **fields):
    return ActionFinished(label, name, name, f"t:{name}", key, status, fields.pop("reason", ""), 1.0, causes=causes)


def cause(what, name="", old=None, new=None, where=""):
    return {"what": what, "name": name, "old": old, "new": new, "where": where}


def record(history, *events, target="//m:check", end=None):
    with history.recorded() as recording:
        recording(BuildStarted("id", "build", (target,), 1_795_395_834.0, 2, number=recording.number))
        for event in events:
            recording(event)
        counts = Counter(event.status for event in events if isinstance(event, ActionFinished))
        recording(end or BuildFinished(0, NO_COUNTS | counts, 1.5, {}))


def asked(history, labels=("//m:q", "//m:check"), out=None, pending=()):
    return why_text(why(history, ["//m:check"], ["//m:check"], labels), list(pending), out or io.StringIO())


def test_why_names_the_first_causes_then_every_target_with_its_actions(history):
    record(history, action("//m:q", "observe"), action("//m:q", "quantize"), action("//m:check", "compare"))
    upstream = cause("file", "model", "a" * 64, "b" * 64, "q.onnx of //m:q quantize")
    record(
        history,
        action("//m:check", "simulate", causes=(upstream,)),
        action("//m:q", "observe", "up_to_date"),
        action("//m:q", "quantize", causes=(cause("parameter", "method", "MinMax", "MSE"),)),
        action("//m:check", "compare", "failed", reason="it broke"),
    )
    assert asked(history).splitlines() == [
        "build 2, 2026-11-23 01:03:54: axbuild build //m:check",
        "",
        "because",
        '  parameter method: "MinMax" -> "MSE" (//m:q quantize)',
        "",
        "//m:q",
        "  observe   valid  since build 1, 2026-11-23 01:03:54",
        '  quantize  ran    parameter method: "MinMax" -> "MSE"',
        "",
        "//m:check",
        f"  simulate  ran    q.onnx of //m:q quantize changed: {'a' * 12} -> {'b' * 12}",
        "  compare   failed  it broke",
    ]


def test_a_target_that_is_valid_as_a_whole_takes_one_line(history):
    events = [action("//m:q", name) for name in ("observe", "quantize")]
    record(history, *events, action("//m:check", "compare"))
    valid = [action(event.label, event.action, "up_to_date") for event in events]
    record(history, *valid, action("//m:check", "compare", causes=(cause("tool", "numpy", "1", "2"),)))
    assert "//m:q\n  valid since build 1, 2026-11-23 01:03:54: observe, quantize\n" in asked(history)


def test_one_cause_of_many_actions_is_told_once(history):
    moved = (cause("code", "axbuild.errors", "a" * 64, "b" * 64),)
    record(history, *(action("//m:check", f"a{i}", causes=moved) for i in range(9)))
    assert f"\nbecause\n  code axbuild.errors changed: {'a' * 12} -> {'b' * 12} (9 actions)\n\n" in asked(history)


def test_many_causes_are_counted(history):
    moved = tuple(cause("parameter", f"p{i}", 1, 2) for i in range(9))
    record(history, action("//m:check", "compare", causes=moved))
    assert asked(history).splitlines()[-2:] == [" " * 18 + "parameter p5: 1 -> 2", " " * 18 + "and 3 more"]


def test_what_was_edited_since_stands_at_the_end(history):
    record(history, action("//m:check", "compare", causes=(cause("first"),)))
    moved = (cause("parameter", "rtol", 1e-5, 1e-4),)
    would = action("//m:check", "compare", "skipped", causes=moved, reason="would run: x")
    may = action("//m:check", "report", "skipped", reason="may run, if an input comes out changed")
    assert asked(history, pending=[would, may]).splitlines()[-3:] == [
        "edited since then; a build now would run",
        "  //m:check compare  parameter rtol: 1e-05 -> 0.0001",
        "  and at most 1 more, as far as their inputs come out changed",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_lines_are_wrapped_to_the_terminal_below_where_they_began(history, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    moved = (cause("parameter", "input_processors[0].src_layout", "NHWC " * 8, "NCHW " * 8),)
    record(history, action("//m:check", "compare", causes=moved))
    shown = asked(history, out=Terminal()).splitlines()
    assert max(map(len, shown)) <= columns
    begin = next(number for number, line in enumerate(shown) if line.startswith("  compare  ran"))
    assert [line for line in shown[begin + 1 :] if not line.startswith(" " * 18)] == []
    assert len(shown) > begin + 1


def stored(**records):
    return type("Results", (), {"get": staticmethod(records.get), "code": staticmethod({}.get)})()


def test_diff_tells_what_moved_what_only_one_had_and_which_checks_changed(history):
    good, bad = TestResult("//m:check", True, "fine"), TestResult("//m:check", False, "y[3] is 1, limit 0")
    record(history, action("//m:a", "f", key="a1"), action("//m:b", "g", key="b1"), action("//m:old", "f"), good)
    named = cause("file", "text", "1" * 64, "2" * 64, "p/a.txt")
    record(history, action("//m:a", "f", key="a2", causes=(named,)), action("//m:b", "g", key="b2"), bad)
    results = stored(
        a1=Stored(KEY | {"inputs": {"text": "1" * 64}}, {"out": "x"}),
        a2=Stored(KEY | {"inputs": {"text": "2" * 64}}, {"out": "x"}),
        b1=Stored(KEY),
    )
    second, first = history.newest_first()
    assert diff_text(compare(first, second, [second], results), io.StringIO()).splitlines() == [
        "- build 1, 2026-11-23 01:03:54: axbuild build //m:check",
        "+ build 2, 2026-11-23 01:03:54: axbuild build //m:check",
        "",
        "because",
        f"  p/a.txt changed: {'1' * 12} -> {'2' * 12} (//m:a f)",
        "",
        "//m:a",
        f"  f  p/a.txt changed: {'1' * 12} -> {'2' * 12}",
        "     its outputs are the same",
        "",
        "//m:b",
        "  g  key b1 -> b2; the store has forgotten what they were made of",
        "",
        "only in build 1",
        "  //m:old f",
        "",
        "checks",
        "  //m:check  passed -> failed",
        "    - fine",
        "    + y[3] is 1, limit 0",
        "",
        "2 actions moved, 0 the same",
    ]


def test_an_input_that_moved_with_its_maker_is_named_by_it(history):
    record(history, action("//m:a", "f", key="a1"), action("//m:b", "g", key="b1"))
    record(history, action("//m:a", "f", key="a2"), action("//m:b", "g", key="b2"))
    results = stored(
        a1=Stored(KEY, {"out": "1" * 64}),
        a2=Stored(KEY | {"params": {"x": 1}}, {"out": "2" * 64}),
        b1=Stored(KEY | {"inputs": {"text": "1" * 64}}),
        b2=Stored(KEY | {"inputs": {"text": "2" * 64}}),
    )
    second, first = history.newest_first()
    found = compare(first, second, [], results)
    assert [one.where for moved in found.moved for one in moved.causes] == ["", "out of //m:a f"]
    assert [moved.same_outputs for moved in found.moved] == [False, True]


def test_each_verdict_of_a_check_with_several_stands_beside_its_own(history):
    record(history, TestResult("//m:check", True, "own"), TestResult("//m:check", True, "group 1"))
    record(history, TestResult("//m:check", True, "own"), TestResult("//m:check", False, "group 1"))
    second, first = history.newest_first()
    found = compare(first, second, [], stored())
    assert [(before.passed, after.passed, after.sentence) for before, after in found.checks] == [
        (True, False, "group 1")
    ]


def test_builds_are_listed_with_how_they_ended(history):
    record(history, action("//m:check", "f"), action("//m:check", "g"), action("//m:check", "h", "up_to_date"))
    error = {"code": "AX202", "sentence": "there is no target //m:nope", "hint": "", "place": None}
    record(history, target="//m:nope", end=BuildFinished(2, NO_COUNTS, 0.01, {}, (error,)))
    failed = BuildFinished(1, NO_COUNTS | {"executed": 1, "failed": 1}, 2.5, {}, ({**error, "sentence": "it broke"},))
    record(history, action("//m:check", "f"), TestResult("//m:check", False, "no"), end=failed)
    with history.recorded() as recording:
        recording(BuildStarted("id", "test", ("//...",), 1_795_395_834.0, 2))
    assert builds_text(history.newest_first(), io.StringIO()).splitlines() == [
        "   1  2026-11-23 01:03:54  axbuild build //m:check",
        "                           done in 1.5 s, 2 built, 1 reused",
        "   2  2026-11-23 01:03:54  axbuild build //m:nope",
        "                           bad input in 10 ms: there is no target //m:nope",
        "   3  2026-11-23 01:03:54  axbuild build //m:check",
        "                           failed in 2.5 s, 1 built, 1 failed, 1 of 1 checks failed: it broke",
        "   4  2026-11-23 01:03:54  axbuild test //...",
        "                           no end on record: it runs, or was killed",
    ]
    assert builds_text([], io.StringIO()) == "no build is on record in this workspace yet"
