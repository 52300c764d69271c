"""How far a running stage is: from its process to the screen, and into no result."""

import io
import json
import math
import os

import pytest
from rich.console import Console

from axbuild import progress
from axbuild.engine.records.events import (
    ActionFinished,
    ActionProgress,
    ActionStarted,
    Fetching,
    Heartbeat,
    from_line,
    to_line,
)
from axbuild.engine.records.history import _line_of
from axbuild.engine.workers.progress import BYTES, EVERY_SECONDS, Progress, Teller, progress_of, told_in
from axbuild.report.board import Board
from axbuild.report.lines import PlainRenderer
from axbuild.report.live import LiveRenderer
from axbuild.report.pulsar2_screen import Bars
from stage_bench import Bench

STAGES = """
    import os
    import time

    from axbuild.progress import tell


    def count(out):
        for number in range(8):
            tell("sample", number + 1, 8, loss=0.5 / (number + 1))
            time.sleep(0.1)
        (out / "o").write_text("done")


    def hurry(out):
        for number in range(100_000):
            tell("sample", number, 100_000)
        (out / "o").write_text("done")


    def shout(out):
        for said in (("x" * 1000, 1, 2), ("sample", -1, 2), ("sample", 1, 2, 3), ("a", 1, float("nan"))):
            try:
                tell(*said)
            except TypeError:
                pass
            time.sleep(0.3)
        (out / "o").write_text("done")


    def leave(out):
        tell("sample", 1, 8)
        time.sleep(0.3)
        os._exit(0)
"""


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "workspace")
    made.write("telling", STAGES)
    yield made
    made.workers.close()


def heard(bench, function):
    told = []
    bench.workers.listener = lambda job, said: told.append((job, said))
    outcome = bench.run(f"telling:{function}")
    return outcome, told


def test_a_client_hears_how_far_a_stage_is_while_it_runs(bench):
    outcome, told = heard(bench, "count")
    assert outcome.ok, outcome
    assert 2 <= len(told) <= 5
    assert {job for job, _ in told} == {outcome.id}
    counts = [said.done for _, said in told]
    assert counts == sorted(set(counts))
    assert all((said.what, said.total) == ("sample", 8) for _, said in told)
    assert all(said.numbers == {"loss": pytest.approx(0.5 / said.done)} for _, said in told)


def test_a_stage_that_tells_much_is_not_slowed_and_not_flooding(bench):
    outcome, told = heard(bench, "hurry")
    assert outcome.ok
    assert outcome.seconds < 2.0
    assert len(told) <= 1 + outcome.seconds / EVERY_SECONDS


def test_what_is_no_progress_is_not_heard_and_harms_nothing(bench):
    outcome, told = heard(bench, "shout")
    assert outcome.ok, outcome
    assert told == []


def test_a_stage_that_ends_with_no_more_than_that_has_failed(bench):
    outcome, _ = heard(bench, "leave")
    assert outcome.error["code"] == "AX551"


def test_nothing_is_told_where_nobody_listens(monkeypatch):
    monkeypatch.setattr(progress, "_listeners", [])
    progress.tell("sample", 1, 2)
    said = []
    progress.listen(lambda *words: said.append(words))
    progress.tell("step", 1, 2, loss=0.5)
    assert said == [("step", 1, 2, {"loss": 0.5})]


@pytest.mark.parametrize(
    "record",
    [
        None,
        {},
        [],
        ["sample", 1, 2],
        ["", 1, 2, {}],
        ["x" * 41, 1, 2, {}],
        [3, 1, 2, {}],
        ["sample", True, 2, {}],
        ["sample", 1.0, 2, {}],
        ["sample", -1, 2, {}],
        ["sample", 1, 1 << 60, {}],
        ["sample", 1, 2, []],
        ["sample", 1, 2, {"loss": "x"}],
        ["sample", 1, 2, {"loss": math.inf}],
        ["sample", 1, 2, {"loss": True}],
        ["sample", 1, 2, {"x" * 41: 1.0}],
        ["sample", 1, 2, dict.fromkeys("abcd", 1.0)],
    ],
)
def test_a_record_of_another_form_is_none(record):
    assert progress_of(record) is None


def test_a_record_is_what_was_told():
    assert progress_of(["step", 3, 9, {"loss": 0.5, "rate": 1}]) == Progress("step", 3, 9, {"loss": 0.5, "rate": 1})


@pytest.fixture
def file():
    made = os.memfd_create("report")
    yield made
    os.close(made)


def test_a_word_is_written_over_the_one_before(file, monkeypatch):
    monkeypatch.setattr("axbuild.engine.workers.progress.EVERY_SECONDS", 0.0)
    teller = Teller(file)
    assert told_in(file) is None
    teller("samples with a long name", 1, 2, {})
    teller("step", 2, 2, {})
    assert told_in(file) == ["step", 2, 2, {}]
    assert os.fstat(file).st_size == BYTES
    teller("x" * BYTES, 1, 2, {})
    assert told_in(file) is None


def test_between_two_looks_one_word_is_written(file):
    teller = Teller(file)
    teller("step", 1, 2, {})
    teller("step", 2, 2, {})
    assert told_in(file) == ["step", 1, 2, {}]


STARTED = ActionStarted("//m:quant", "chain/tune_7_of_51", "tune_block", 1.0)
FAR = ActionProgress("//m:quant", "chain/tune_7_of_51", "tune_block", 2.0, "step", 40, 500, {"loss": 0.0213})


def test_the_event_survives_its_line_and_is_kept_in_no_record():
    assert from_line(to_line(FAR)) == FAR
    assert json.loads(to_line(FAR))["event"] == "action_progress"
    assert _line_of(FAR) == ""


def test_a_sign_of_life_says_how_far_it_is():
    out = io.StringIO()
    renderer = PlainRenderer(out)
    for event in (STARTED, FAR, Heartbeat(31.0)):
        renderer(event)
    assert out.getvalue() == "[0/0] still running: //m:quant chain/tune_7_of_51 30.0 s (step 40 of 500, loss 0.0213)\n"


def test_the_live_display_says_how_far_it_is():
    renderer = LiveRenderer(io.StringIO())
    renderer._board(STARTED)
    renderer._board(FAR)
    assert renderer._render().plain.endswith("//m:quant chain/tune_7_of_51  step 40 of 500, loss 0.0213")


def test_how_far_an_action_was_is_forgotten_when_it_ends():
    board = Board()
    for event in (STARTED, FAR):
        board(event)
    assert board.told(STARTED) == "step 40 of 500, loss 0.0213"
    board(ActionFinished("//m:quant", "chain/tune_7_of_51", "tune_block", "", "", "executed", "", 3.0))
    assert board.told(STARTED) == ""


def test_words_of_a_stage_cannot_move_the_cursor():
    out = io.StringIO()
    renderer = PlainRenderer(out)
    odd = ActionProgress("//m:quant", STARTED.action, "tune_block", 2.0, "\x1b[2J", 1, 2, {"a\nb": 1.0})
    for event in (STARTED, odd, Heartbeat(31.0)):
        renderer(event)
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()
    assert "\\x1b[2J 1 of 2, a\\nb 1" in out.getvalue()


def fetching(done, total, at):
    return Fetching("//m:quant", "decode", "decode", "s3://bucket/set.tar", done, total, at)


def test_a_file_on_its_way_has_a_line_when_it_begins_and_every_ten_seconds():
    out = io.StringIO()
    renderer = PlainRenderer(out)
    seen = [(0, 0.5), (1_000_000, 1.0), (6_000_000, 10.6), (9_000_000, 11.0), (12_345_678, 12.0)]
    for done, at in seen:
        renderer(fetching(done, 12_345_678, at))
    assert out.getvalue().splitlines() == [
        "//m:quant decode fetches s3://bucket/set.tar: 0.0 of 12.3 MB",
        "//m:quant decode fetches s3://bucket/set.tar: 6.0 of 12.3 MB",
    ]


def test_the_live_display_has_a_row_for_it_until_the_action_starts_or_fails():
    renderer = LiveRenderer(io.StringIO())
    renderer._board(fetching(500, 0, 1.0))
    assert renderer._render().plain.endswith("//m:quant decode  fetches s3://bucket/set.tar: 0.5 kB")
    renderer._board(ActionStarted("//m:quant", "decode", "decode", 2.0))
    assert "fetches" not in renderer._render().plain
    renderer._board(fetching(500, 0, 3.0))
    renderer._board(ActionFinished("//m:quant", "decode", "decode", "", "", "failed", "", 3.0))
    assert "fetches" not in renderer._render().plain


def test_what_was_fetched_is_kept_in_no_record():
    assert from_line(to_line(fetching(1, 2, 1.0))) == fetching(1, 2, 1.0)
    assert _line_of(fetching(1, 2, 1.0)) == ""


def test_bars_show_what_is_fetched_and_then_what_runs_and_go_with_it():
    bars = Bars(Console(file=io.StringIO()))
    bars(fetching(6_000_000, 12_000_000, 1.0))
    (task,) = bars._progress.tasks
    assert (task.description, task.completed, task.total) == ("Fetching set.tar", 6_000_000, 12_000_000)
    assert task.fields["far"] == "6.0 of 12.0 MB"
    bars(ActionStarted("//m:quant", "decode", "decode", 2.0))
    assert bars._progress.tasks == []
    bars(ActionStarted("//m:quant", "observe", "observe", 2.0))
    bars(ActionProgress("//m:quant", "observe", "observe", 2.0, "sample", 3, 9))
    (task,) = bars._progress.tasks
    assert (task.description, task.fields["far"]) == ("Stastic Inf tensor", "3 of 9")
    bars(ActionFinished("//m:quant", "observe", "observe", "", "", "executed", "", 3.0))
    assert bars._progress.tasks == []
    bars.close()
