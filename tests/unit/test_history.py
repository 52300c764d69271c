import pytest

from axbuild.engine.events import ActionFinished, BuildStarted
from axbuild.engine.history import KEPT, KEPT_IDLE, History
from axbuild.engine.why import NotOnRecord, why

CLOSURE = ["//m:x", "//m:y"]


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "builds")


def record(history, number, **statuses):
    with history.recorded(f"2026-{number:04}") as listen:
        listen(BuildStarted(f"2026-{number:04}", "build", ("//m:x",), float(number), 2))
        for action, status in statuses.items():
            listen(ActionFinished("//m:x", action, action, f"t:{action}", "k", status, "", 0.5))


def names(history):
    return [item.id for item in history.newest_first()]


def test_records_are_read_newest_first(history):
    record(history, 1, a="executed")
    record(history, 2, a="up_to_date")
    newest = next(history.newest_first())
    assert (newest.id, newest.started.time) == ("2026-0002", 2.0)
    assert newest.actions["//m:x", "a"].status == "up_to_date"


def test_ids_sort_by_time_and_differ(history):
    made = [history.new_id() for _ in range(3)]
    assert sorted(set(made)) == made


def test_old_records_go_and_idle_ones_do_not_push_out_those_that_tell_more(history):
    record(history, 0, a="executed")
    for number in range(1, 40):
        record(history, number, a="up_to_date")
    assert names(history) == ["2026-0039", "2026-0038", "2026-0037", "2026-0000"]
    assert len(names(history)) == KEPT_IDLE + 1
    for number in range(40, 80):
        record(history, number, a="executed")
    assert len(names(history)) == KEPT_IDLE + KEPT


def test_a_build_that_came_to_no_action_is_not_kept(history):
    record(history, 1)
    assert names(history) == []


def test_a_build_that_breaks_off_is_kept_as_far_as_it_came(history):
    def interrupted():
        with history.recorded("2026-1") as listen:
            listen(ActionFinished("//m:x", "a", "a", "t:a", "k", "executed", "", 0.5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert next(history.newest_first()).actions["//m:x", "a"].status == "executed"


def test_why_tells_since_when_a_result_is_valid(history):
    record(history, 1, a="executed", b="executed")
    record(history, 2, a="cached", b="up_to_date")
    record(history, 3, a="up_to_date", b="up_to_date")
    found = why(history, ["//m:x"], ["//m:x"], CLOSURE)
    assert [(reason.event.action, reason.since) for reason in found.reasons] == [("a", 2.0), ("b", 1.0)]
    assert (found.time, found.oldest, found.command) == (3.0, 1.0, "axbuild build //m:x")


def test_why_takes_the_last_build_that_had_the_target_or_what_it_needs(history):
    record(history, 1, a="executed")
    with history.recorded("2026-0002") as listen:
        listen(BuildStarted("2026-0002", "build", ("//m:z",), 2.0, 2))
        listen(ActionFinished("//m:z", "c", "c", "t:c", "k", "executed", "", 0.5))
    assert why(history, ["//m:x"], ["//m:x"], CLOSURE).time == 1.0
    assert why(history, ["//m:alias"], ["//m:alias"], ["//m:alias", "//m:z"]).time == 2.0
    with pytest.raises(NotOnRecord, match="no build of //m:q is on record"):
        why(history, ["//m:q"], ["//m:q"], ["//m:q"])
