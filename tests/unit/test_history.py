"""Records of builds: numbered, bounded, and read back as the events they were."""

import pytest

from axbuild.engine.records import history as history_module
from axbuild.engine.records.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    TargetConfigured,
    TestResult,
)
from axbuild.engine.records.history import KEPT, KEPT_IDLE, History, NoSuchBuild
from axbuild.engine.records.made import Made, MadeLog
from axbuild.engine.records.why import NotOnRecord, why

CLOSURE = ["//m:x", "//m:y"]
NO_COUNTS = dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0)


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "builds")


def record(history, label="//m:x", **statuses):
    """A build with these actions, begun at its number."""
    with history.recorded() as recording:
        recording(BuildStarted("id", "build", (label,), float(recording.number), 2, number=recording.number))
        for action, status in statuses.items():
            recording(ActionFinished(label, action, action, f"t:{action}", "k", status, "", 0.5, seconds=2.5))
        return recording.number


def numbers(history):
    return [item.number for item in history.newest_first()]


def test_records_are_numbered_and_read_newest_first(history):
    assert [record(history, a="executed"), record(history, a="up_to_date")] == [1, 2]
    newest = history.newest_first()[0]
    assert (newest.number, newest.time, newest.command) == (2, 2.0, "axbuild build //m:x")
    assert newest.actions["//m:x", "a"].status == "up_to_date"


def test_two_builds_at_once_get_two_numbers(history):
    with history.recorded() as one, history.recorded() as other:
        assert (one.number, other.number) == (1, 2)


def test_a_number_is_not_given_again_after_an_idle_build(history):
    assert [record(history), record(history, a="up_to_date"), record(history)] == [1, 2, 3]


def test_a_record_tells_what_its_build_told_less_what_only_a_running_build_is_asked_for(history):
    cause = {"what": "parameter", "name": "rtol", "old": 1, "new": 2, "where": ""}
    kept = [
        BuildStarted("id", "test", ("//m:x",), 1.5, 2, number=1),
        ActionFinished("//m:x", "a", "f", "t:f", "k", "executed", "r", 0.5, 2.0, {"o": "d"}, (cause,), 7),
        ActionFinished("//m:x", "b", "f", "t:f", "k2", "up_to_date", "", 0.0),
        Diagnostic("//m:x", "a", "f", "AX308", "odd", False),
        TestResult("//m:x", False, "no", {"passed": False}, True),
        BuildFinished(1, NO_COUNTS | {"executed": 1}, 2.5, {}, ({"code": "AX500"},), ({"label": "//m:x"},)),
    ]
    dropped = [
        TargetConfigured("//m:x", "axmodel", 2, 0),
        ActionStarted("//m:x", "a", "f", 0.1),
        Diagnostic("//m:x", "b", "f", "AX308", "odd", True),
    ]
    with history.recorded() as recording:
        for event in (kept[0], *dropped, *kept[1:]):
            recording(event)
    assert history.newest_first()[0].events == kept


def test_old_records_go_and_idle_ones_do_not_push_out_those_that_tell_more(history):
    record(history, a="executed")
    for _ in range(40):
        record(history, a="up_to_date")
    assert numbers(history) == [41, 40, 39, 1]
    assert len(numbers(history)) == KEPT_IDLE + 1
    for _ in range(40):
        record(history, a="executed")
    assert numbers(history)[:2] == [81, 80]
    assert len(numbers(history)) == KEPT_IDLE + KEPT


def test_all_records_together_are_bounded_and_the_newest_two_always_kept(history, monkeypatch):
    monkeypatch.setattr(history_module, "KEPT_BYTES", 1000)
    for _ in range(12):
        record(history, a="executed")
    kept = history.newest_first()
    assert sum(item.path.stat().st_size for item in kept) <= 1000
    assert len(kept) > 2
    monkeypatch.setattr(history_module, "KEPT_BYTES", 10)
    assert record(history, a="executed") == 13
    assert numbers(history) == [13, 12]


def test_a_record_grown_too_long_goes_on_with_failures_and_the_end(history, monkeypatch):
    monkeypatch.setattr(history_module, "RECORD_BYTES", 300)
    with history.recorded() as recording:
        recording(BuildStarted("id", "build", ("//m:x",), 1.0, 2))
        for number in range(20):
            recording(ActionFinished("//m:x", f"a{number}", "f", "t:f", "k", "executed", "", 0.5))
        recording(ActionFinished("//m:x", "broken", "f", "t:f", "k", "failed", "it broke", 0.5))
        recording(BuildFinished(1, NO_COUNTS | {"executed": 20, "failed": 1}, 2.5, {}))
    found = why(history, ["//m:x"], ["//m:x"], CLOSURE)
    assert 0 < len(found.reasons) < 10
    assert found.reasons[-1].event.action == "broken"
    assert found.left_out == 21 - len(found.reasons)


def test_a_build_that_breaks_off_is_kept_as_far_as_it_came(history):
    def interrupted():
        with history.recorded() as recording:
            recording(ActionFinished("//m:x", "a", "a", "t:a", "k", "executed", "", 0.5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert history.newest_first()[0].actions["//m:x", "a"].status == "executed"


def test_a_build_is_found_by_number_or_counted_from_the_last(history):
    for _ in range(3):
        record(history, a="executed")
    assert [history.find(text).number for text in ("2", "last", "-1", "-2", "0")] == [2, 3, 2, 1, 3]
    for text in ("4", "-3", "first", "1.5"):
        with pytest.raises(NoSuchBuild, match=f"there is no build '{text}' on record") as caught:
            history.find(text)
        assert caught.value.hint == "on record are the builds 1, 2, 3; `axbuild builds` lists them"


def test_an_empty_history_says_so(history):
    with pytest.raises(NoSuchBuild) as caught:
        history.find("last")
    assert "no build is on record in this workspace yet" in caught.value.hint


def test_why_tells_since_when_a_result_is_valid(history):
    record(history, a="executed", b="executed")
    record(history, a="cached", b="up_to_date")
    record(history, a="up_to_date", b="up_to_date")
    found = why(history, ["//m:x"], ["//m:x"], CLOSURE)
    assert [(reason.event.action, reason.since.build) for reason in found.reasons] == [("a", 2), ("b", 1)]
    assert (found.record.number, found.oldest.number) == (3, 1)


def test_since_when_outlives_the_record_of_that_build(history):
    record(history, a="executed")
    for _ in range(KEPT + 5):
        record(history, "//m:y", b="executed")
    record(history, a="up_to_date")
    assert 1 not in numbers(history)
    (reason,) = why(history, ["//m:x"], ["//m:x"], ["//m:x"]).reasons
    assert reason.since.build == 1


def test_a_result_made_after_the_build_asked_about_is_not_since_when_that_was_valid(history):
    record(history, "//m:y", b="executed")
    with history.recorded() as recording:
        recording(BuildStarted("id", "build", ("//m:x",), 2.0, 2))
        recording(ActionFinished("//m:y", "b", "b", "t:b", "k", "up_to_date", "", 0.5))
        recording(ActionFinished("//m:x", "a", "a", "t:a", "k", "executed", "", 0.5))
    record(history, "//m:y", b="executed")
    found = why(history, ["//m:x"], ["//m:x"], CLOSURE)
    assert [reason.since and reason.since.build for reason in found.reasons] == [1, None]


def test_why_takes_the_last_build_that_had_the_target_or_what_it_needs(history):
    record(history, a="executed")
    record(history, "//m:z", c="executed")
    assert why(history, ["//m:x"], ["//m:x"], CLOSURE).record.number == 1
    assert why(history, ["//m:alias"], ["//m:alias"], ["//m:alias", "//m:z"]).record.number == 2
    with pytest.raises(NotOnRecord, match="no build of //m:q is on record"):
        why(history, ["//m:q"], ["//m:q"], ["//m:q"])


def test_the_log_of_results_keeps_the_newest_line_and_the_last_time_it_ran(tmp_path):
    path = tmp_path / "made.log"
    for made in (Made("//m:x", "a", 1, 100, 2.5), Made("//m:x", "b", 1, 100, 1.0), Made("//m:x", "a", 3, 300, 0.0)):
        with MadeLog(path) as log:
            log.add(made)
    assert MadeLog.read(path) == {
        ("//m:x", "b"): Made("//m:x", "b", 1, 100, 1.0),
        ("//m:x", "a"): Made("//m:x", "a", 3, 300, 2.5),
    }


def test_damaged_lines_of_the_log_are_passed_over(tmp_path):
    path = tmp_path / "made.log"
    path.write_bytes(b"nonsense\n1\t100\t2.5\t//m:x\ta\n\xff\xfe\n2\t100\t2.5\t//m:x\tcut o")
    assert list(MadeLog.read(path).values()) == [Made("//m:x", "a", 1, 100, 2.5)]
    assert MadeLog.read(tmp_path / "none") == {}


def test_the_log_is_written_anew_when_most_of_it_is_stale(tmp_path, monkeypatch):
    monkeypatch.setattr("axbuild.engine.records.made._SPARE", 10)
    path = tmp_path / "made.log"
    for number in range(1, 200):
        with MadeLog(path) as log:
            log.add(Made("//m:x", "a", number, 100, 2.5))
            log.add(Made("//m:x", f"once{number % 5}", number, 100, 2.5))
    lines = path.read_text().splitlines()
    assert len(lines) < 60
    assert MadeLog.read(path)["//m:x", "a"].build == 199
    assert list(tmp_path.iterdir()) == [path]
