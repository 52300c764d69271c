"""What a build looks like: every renderer is fed events and nothing else."""

import io
import re
import time
from dataclasses import replace

import pytest

from axbuild.engine.records.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    TargetConfigured,
    TestResult,
)
from axbuild.engine.records.made import Made
from axbuild.report.board import Board
from axbuild.report.forecast import Forecast
from axbuild.report.lines import Lines, PlainRenderer, Wanted
from axbuild.report.live import LiveRenderer
from axbuild.report.rule_page import rule_text
from axbuild.report.style import Style, duration
from axbuild.report.summary import Summary
from axbuild.workspace.rulepack import load_rules


class Terminal(io.StringIO):
    def isatty(self):
        return True


def finished(action, status="executed", **fields):
    reason = fields.pop("reason", "")
    return ActionFinished("//m:x", action, action, f"t:{action}", "k", status, reason, 1.0, **fields)


def ended(code=0, **counts):
    every = dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0) | counts
    return BuildFinished(code, every, 1.25, {"//m:x": ["axbuild-out/m/x/a", "axbuild-out/m/x/b"]})


BEGIN = [BuildStarted("b", "build", ("//m:x",), 0.0, 2), TargetConfigured("//m:x", "axmodel", 3, 1)]


def lines_of(*events, **settings):
    out = io.StringIO()
    renderer = PlainRenderer(out, lambda style: Lines(style, Wanted(**settings)))
    for event in (*BEGIN, *events):
        renderer(event)
    return out.getvalue().splitlines()


def test_a_total_is_a_least_number_while_an_expansion_is_open():
    split = finished("split", seconds=0.25, outputs={"expansion.json": "d"}, children=4)
    assert lines_of(finished("a", seconds=0.004), split, finished("split/one", seconds=75)) == [
        "[1/at least 3] //m:x a 4 ms",
        "[2/7] //m:x split 0.2 s",
        "[3/7] //m:x split/one 1 min 15 s",
    ]


def test_children_that_expand_keep_the_total_open():
    board = Board()
    for event in (*BEGIN, finished("s", outputs={"expansion.json": "d"}, children=2, child_expansions=1)):
        board(event)
    assert board.progress() == "[1/at least 5]"
    board(finished("s/c", outputs={"expansion.json": "d"}, children=1))
    assert board.progress() == "[2/6]"


def test_an_action_that_runs_twice_counts_once():
    board = Board()
    for event in (*BEGIN, finished("a", "up_to_date"), finished("a")):
        board(event)
    assert board.done == 1


def test_reused_results_have_no_line_but_their_warnings_do():
    warned = Diagnostic("//m:x", "a", "a", "AX308", "not fused", True)
    assert lines_of(warned, finished("a", "up_to_date")) == ["//m:x a: warning AX308: not fused"]


def test_a_failure_has_its_whole_error():
    record = {"code": "AX500", "sentence": "//m:x a: it broke", "hint": "mend it", "place": None}
    assert lines_of(finished("a", "failed", error=record)) == [
        "[1/at least 3] //m:x a failed",
        "error AX500: //m:x a: it broke",
        "  hint: mend it",
    ]


def test_explain_tells_every_cause_below_its_action():
    cause = {"what": "parameter", "name": "rtol", "old": 1, "new": 2, "where": ""}
    event = finished("a", causes=(cause,))
    assert lines_of(event) == ["[1/at least 3] //m:x a 0 ms"]
    assert lines_of(event, explain=True)[1:] == ["    parameter rtol: 1 -> 2"]


def test_a_dry_run_tells_what_would_run():
    event = finished("a", "skipped", reason="would run: because")
    assert lines_of(event, dry_run=True) == ["//m:x a would run: because"]
    assert lines_of(event) == []


def test_verdicts_have_their_sentence():
    assert lines_of(TestResult("//m:x", False, "y[3] is 1, limit 0", seconds=0.25)) == [
        "FAILED //m:x in 0.2 s: y[3] is 1, limit 0"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0004, "0 ms"), (0.0996, "100 ms"), (0.1, "0.1 s"), (59.94, "59.9 s"), (125, "2 min 5 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def summary_of(*events):
    summary = Summary()
    for event in (*BEGIN, *events):
        summary(event)
    return summary


def test_the_summary_counts_and_names_the_files():
    text = summary_of(ended(executed=2, cached=1, up_to_date=4)).text(io.StringIO())
    assert text.splitlines() == [
        "//m:x",
        "  axbuild-out/m/x/a",
        "  axbuild-out/m/x/b",
        "done: 2 built, 5 reused (1 from the cache) in 1.2 s",
    ]


def test_the_summary_of_a_failed_and_of_an_interrupted_build():
    tests = (TestResult("//m:x", True, ""), TestResult("//m:y", False, ""))
    failed = summary_of(*tests, ended(1, executed=1, failed=1, skipped=2)).text(io.StringIO())
    assert failed.endswith("failed: 1 built, 0 reused, 1 failed, 2 skipped, 1 of 2 checks passed in 1.2 s")
    assert "interrupted: 1 built" in summary_of(ended(130, executed=1)).text(io.StringIO())


def test_errors_of_the_request_are_told_once():
    record = {"code": "AX202", "sentence": "there is no target //m:y", "hint": "", "place": None}
    told = {"code": "AX500", "sentence": "it broke", "hint": "", "place": None}
    end = BuildFinished(
        2, dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0), 0.1, {}, (record, told)
    )
    summary = summary_of(finished("a", "failed", reason="it broke", error=told), end)
    assert [str(error) for error in summary.untold()] == ["error AX202: there is no target //m:y"]


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_no_color_turns_colour_off(monkeypatch, variable, coloured):
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setenv("TERM", "xterm")
    assert Style(Terminal())("red", "x") == ("\033[31mx\033[0m" if coloured else "x")
    assert Style(io.StringIO())("red", "x") == "x"


@pytest.mark.parametrize(("term", "fits"), [("xterm", True), ("dumb", False)])
def test_the_live_display_needs_a_terminal_that_moves_its_cursor(monkeypatch, term, fits):
    monkeypatch.setenv("TERM", term)
    assert LiveRenderer.fits(Terminal()) is fits
    assert LiveRenderer.fits(io.StringIO()) is False


def test_the_live_display_shows_what_runs_and_leaves_only_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()
    renderer = LiveRenderer(out)
    for event in (*BEGIN, ActionStarted("//m:x", "slow", "slow", 0.0), ActionStarted("//m:x", "other", "other", 0.0)):
        renderer(event)
    shown = renderer._render().plain
    assert shown.startswith("[0/at least 3] 2 running, ")
    assert re.search(r"\n +\S+ m?s  //m:x slow\n", shown)
    renderer(finished("slow", seconds=2))
    renderer(ended(executed=1))
    assert "[1/at least 3] //m:x slow 2.0 s" in out.getvalue()
    assert out.getvalue().endswith("\x1b[?25h") or "\x1b[2K" in out.getvalue().rpartition("slow 2.0 s")[2]


def test_the_live_display_does_not_start_for_a_build_that_runs_nothing():
    out = Terminal()
    renderer = LiveRenderer(out)
    for event in (*BEGIN, finished("a", "up_to_date"), ended(up_to_date=1)):
        renderer(event)
    assert out.getvalue() == ""


def test_a_check_that_was_not_judged_says_what_kept_it_from_it():
    event = TestResult("//m:x", False, "needs //m:q quantize, which failed", built=False)
    assert lines_of(event) == ["NOT RUN //m:x: needs //m:q quantize, which failed"]


@pytest.mark.parametrize(
    ("tests", "passing", "failing"),
    [("errors", 1, 3), ("all", 3, 3), ("summary", 0, 1)],
)
def test_how_much_is_told_of_checks(tests, passing, failing):
    verdict = {"passed": True, "sentence": "fine", "elements": 10, "outputs": {"y": {"differing": 1, "cosine": 0.5}}}
    good = TestResult("//m:x", True, "fine", verdict, cached=True)
    bad = TestResult("//m:y", False, "y[3] is 1, limit 0", verdict)
    assert len(lines_of(good, tests=tests)) == passing
    told = lines_of(bad, tests=tests)
    assert len(told) == failing
    assert told[0].startswith("FAILED //m:y in 0 ms: y[3] is 1, limit 0")
    assert told[1:] in ([], ["    elements: 10", "    outputs y: differing 1, cosine 0.5"])
    assert lines_of(good) == ["PASSED //m:x (cached): fine"]


def test_quiet_says_only_what_fails():
    warned = Diagnostic("//m:x", "a", "a", "AX308", "not fused", False)
    record = {"code": "AX500", "sentence": "it broke", "hint": "", "place": None}
    good, bad = TestResult("//m:x", True, "fine"), TestResult("//m:y", False, "bad", cached=True)
    told = lines_of(finished("a"), warned, good, bad, finished("b", "failed", error=record), quiet=True)
    assert told == ["FAILED //m:y (cached): bad", "[2/at least 3] //m:x b failed", "error AX500: it broke"]


def test_verbose_tells_of_memory_and_of_what_was_reused():
    ran = finished("a", seconds=1.5, peak_memory_bytes=3 * 2**20)
    assert lines_of(ran, finished("b", "cached"), finished("c", "up_to_date"), verbose=True) == [
        "[1/at least 3] //m:x a 1.5 s, 3 MiB",
        "[2/at least 3] //m:x b from the cache",
        "[3/at least 3] //m:x c valid",
    ]


def test_explain_tells_since_when_a_result_is_valid(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    since = {("//m:x", "c"): Made("//m:x", "c", 12, 1_795_395_834, 2.0)}
    told = lines_of(finished("c", "up_to_date"), explain=True, since=since)
    assert told == ["[1/at least 3] //m:x c valid since build 12, 2026-11-23 01:03:54"]


def test_the_summary_names_the_critical_path_and_the_warnings():
    path = tuple({"label": "//m:x", "action": name, "seconds": s} for name, s in (("a", 1.0), ("b", 0.01), ("c", 0.5)))
    warned = Diagnostic("//m:x", "a", "a", "AX308", "not fused", False)
    end = replace(ended(executed=3), outputs={}, critical_path=path)
    assert summary_of(warned, end).text(io.StringIO()).splitlines() == [
        "done: 3 built, 0 reused, 1 warning in 1.2 s",
        "critical path: 1.5 s in 3 actions, the slowest of them",
        "     1.0 s  //m:x a",
        "     0.5 s  //m:x c",
    ]
    short = replace(end, critical_path=tuple(link | {"seconds": 0.01} for link in path))
    assert "critical path" not in summary_of(short).text(io.StringIO())


def test_a_long_summary_is_cut_save_when_everything_is_asked_for():
    outputs = {f"//m:t{i}": [f"axbuild-out/m/t{i}/{j}" for j in range(15)] for i in range(100)}
    end = replace(ended(executed=2), outputs=outputs)
    told = summary_of(end).text(io.StringIO()).splitlines()
    assert len(told) == 20 * (1 + 12 + 1) + 2
    assert told[-2:] == ["and 80 more targets, all below axbuild-out/", "done: 2 built, 0 reused in 1.2 s"]
    whole = Summary(whole=True)
    for event in (*BEGIN, end):
        whole(event)
    assert len(whole.text(io.StringIO()).splitlines()) == 100 * 16 + 1


def test_several_failures_are_named_together_at_the_end():
    record = {"code": "AX500", "sentence": "it broke", "hint": "", "place": None}
    broken = [finished(f"a{i}", "failed", reason="it broke", error=record) for i in range(12)]
    told = summary_of(*broken, TestResult("//m:y", False, "bad"), ended(1, failed=12)).text(io.StringIO()).splitlines()
    assert told[3:5] == ["failed", "  //m:x a0"]
    assert told[-2:] == ["  and 3 more", "failed: 0 built, 0 reused, 12 failed, 0 of 1 checks passed in 1.2 s"]


def board_of(*events):
    board, forecast = Board(), Forecast()
    forecast.remember({("//m:x", name): Made("//m:x", name, 1, 0, s) for name, s in (("a", 4.0), ("b", 6.0))})
    for event in events:
        board(event)
        forecast(event)
    return board, forecast


def test_the_time_left_comes_from_how_long_actions_took_before():
    begin = (BuildStarted("b", "build", ("//m:x",), 0.0, 1), TargetConfigured("//m:x", "axmodel", 2, 0))
    board, forecast = board_of(*begin, ActionStarted("//m:x", "a", "a", 0.0))
    assert forecast.seconds_left(board, 1.0) == pytest.approx(9.0)
    assert forecast.seconds_left(board, 8.5) == pytest.approx(6.0), "an overdue action counts as nearly done"
    assert forecast.seconds_left(board, 9.5) is None, "after twice its time nothing is known any more"
    board, forecast = board_of(*begin, finished("a", seconds=4.0), ActionStarted("//m:x", "b", "b", 4.0))
    assert forecast.seconds_left(board, 5.0) == pytest.approx(5.0)


def test_nothing_is_said_of_the_time_left_where_most_actions_never_ran_here():
    """The first actions of a build are the short ones: their average promised a second for twenty."""
    begin = (BuildStarted("b", "build", ("//m:n",), 0.0, 2), TargetConfigured("//m:n", "axmodel", 5, 0))
    done = ActionFinished("//m:n", "c", "c", "t:c", "k", "executed", "", 3.0, 0.1)
    for events in (begin, (*begin, done)):
        board, forecast = board_of(*events)
        assert forecast.seconds_left(board, 3.0) is None
    few = (BuildStarted("b", "build", ("//m:x",), 0.0, 1), TargetConfigured("//m:x", "axmodel", 3, 0))
    board, forecast = board_of(*few)
    assert forecast.seconds_left(board, 0.0) is None, "two of three are known"


def test_one_action_without_a_history_counts_as_the_average_of_those_that_ran():
    begin = (BuildStarted("b", "build", ("//m:x",), 0.0, 1), TargetConfigured("//m:x", "axmodel", 6, 0))
    board, forecast = Board(), Forecast()
    forecast.remember({("//m:x", name): Made("//m:x", name, 1, 0, 2.0) for name in "abcd"})
    for event in (*begin, ActionFinished("//m:x", "f", "f", "t:f", "k", "executed", "", 1.0, 5.0)):
        board(event)
        forecast(event)
    assert forecast.seconds_left(board, 1.0) == pytest.approx(4 * 2.0 + 5.0)


def test_a_history_of_actions_that_are_gone_does_not_count():
    begin = (BuildStarted("b", "build", ("//m:x",), 0.0, 1), TargetConfigured("//m:x", "axmodel", 1, 0))
    board, forecast = board_of(*begin)
    assert forecast.seconds_left(board, 0.0) == pytest.approx(5.0), "one of two, of 4 s and 6 s"


class Narrow(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_breaks_sentences_at_words_and_a_pipe_not_at_all(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = (
        "m/BUILD.toml:4: error AX106: level takes one of many words\n  hint: take another one of all these many words"
    )
    assert Style(io.StringIO()).at_words(text) == text
    assert Style(Narrow()).at_words(text).split("\n") == [
        "m/BUILD.toml:4: error AX106: level takes",
        "    one of many words",
        "  hint: take another one of all these",
        "      many words",
    ]
    path = "x" * 60
    assert Style(Narrow()).at_words(f"  {path}").split() == [path], "a path stays whole"


@pytest.mark.parametrize("columns", [20, 60, 100])
def test_lines_for_a_terminal_break_at_spaces_and_never_in_a_path(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    style = Style(Terminal())
    path = "axbuild-out/mobilenet/axmodel/compiler/subgraph_npu_0/b1/report.json"
    text = f"  {style('red', '3 failed')}, in {path} of two targets that are read as one"
    lines = re.sub("\033\\[[0-9]+m", "", style.at_words(text)).split("\n")
    assert " ".join(line.strip() for line in lines) == re.sub("\033\\[[0-9]+m", "", text).strip()
    assert sum(path in line for line in lines) == 1
    assert [line for line in lines if len(line) > columns and line.strip() != path] == []


def test_the_last_line_of_a_build_is_wrapped_with_its_seconds_together(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    summary = Summary()
    counts = dict.fromkeys(("executed", "cached", "failed", "skipped"), 2) | {"up_to_date": 12}
    summary(BuildFinished(0, counts, 83.0, {}))
    told = re.sub("\033\\[[0-9]+m", "", summary.text(Terminal()))
    assert told == "done: 2 built, 14 reused (2 from the cache), 2 failed, 2\n    skipped in 1 min 23 s"
    assert summary.text(io.StringIO()).endswith("2 skipped in 1 min 23 s")


def test_the_page_of_a_rule_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    rule = load_rules(None).rules["quant_model"]
    assert [line for line in rule_text(rule, Terminal()).split("\n") if len(line) > 60 + len("\033[36m\033[0m")] == []
    assert max(map(len, rule_text(rule, io.StringIO()).split("\n"))) > 60
