"""`--profile`: what Chrome's and Perfetto's readers require, and what the lanes show."""

import json

import pytest

from axbuild.engine.records.events import ActionFinished, ActionStarted, BuildFinished, BuildStarted, TargetConfigured
from axbuild.report.trace import Trace

COUNTS = dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0)


def started(action, at):
    return ActionStarted("//m:x", action, action, at)


def finished(action, at, status="executed"):
    return ActionFinished("//m:x", action, action, f"t:{action}", "k", status, "why", at, 0.5, peak_memory_bytes=2**20)


@pytest.fixture
def trace():
    found = Trace()
    path = tuple({"label": "//m:x", "action": name, "seconds": 0.5} for name in ("a", "c"))
    for event in (
        BuildStarted("id", "build", ("//m:x",), 0.0, 2, number=7),
        TargetConfigured("//m:x", "axmodel", 4, 0),
        finished("reused", 0.1, "up_to_date"),
        started("a", 1.0),
        started("b", 1.5),
        finished("a", 2.0),
        started("c", 2.0),
        finished("b", 2.5),
        finished("c", 3.0, "failed"),
        BuildFinished(1, COUNTS, 4.0, {}, (), path),
    ):
        found(event)
    return json.loads(found.text())


def lanes(trace):
    names = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    found = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            found.setdefault(names[event["tid"]], []).append((event["name"], event["ts"], event["dur"]))
    return found


def test_every_event_has_what_its_phase_requires(trace):
    required = {
        "X": {"name", "cat", "ph", "pid", "tid", "ts", "dur", "args"},
        "M": {"name", "ph", "pid", "tid", "args"},
    }
    required["C"] = {"name", "ph", "pid", "ts", "args"}
    assert {event["ph"] for event in trace["traceEvents"]} == set(required)
    for event in trace["traceEvents"]:
        assert event.keys() == required[event["ph"]]
        assert all(isinstance(event.get(name, 0), int) for name in ("pid", "tid", "ts", "dur"))
    assert trace["displayTimeUnit"] == "ms"


def test_a_lane_a_worker_and_bars_of_one_lane_do_not_overlap(trace):
    found = lanes(trace)
    assert found["worker 1"] == [("a", 1_000_000, 1_000_000), ("c", 2_000_000, 1_000_000)]
    assert found["worker 2"] == [("b", 1_500_000, 1_000_000)]
    assert found["critical path"] == [("a", 1_000_000, 1_000_000), ("c", 2_000_000, 1_000_000)]
    assert [name for name, *_ in found["axbuild"]] == ["load and lay out", "outputs and verdicts"]


def test_bars_say_what_ran_and_why(trace):
    bar = next(event for event in trace["traceEvents"] if event["name"] == "c")
    assert bar["args"] == {
        "label": "//m:x",
        "stage": "t:c",
        "key": "k",
        "status": "failed",
        "reason": "why",
        "seconds_in_stage": 0.5,
        "peak_memory_mib": 1.0,
        "critical_path": True,
    }
    assert trace["otherData"] == {
        "command": "axbuild build //m:x",
        "build": 7,
        "jobs": 2,
        "exit_code": 1,
        "seconds": 4.0,
        "counts": COUNTS,
        "critical_path_seconds": 1.0,
    }


def test_the_number_of_running_actions_is_counted(trace):
    counted = [(e["ts"], e["args"]["actions"]) for e in trace["traceEvents"] if e["ph"] == "C"]
    assert counted == [
        (1_000_000, 1), (1_500_000, 2), (2_000_000, 1), (2_000_000, 2), (2_500_000, 1), (3_000_000, 0)
    ]  # fmt: skip


def test_a_build_that_ran_nothing_has_a_trace_too():
    found = Trace()
    for event in (BuildStarted("id", "build", ("//m:x",), 0.0, 2), BuildFinished(0, COUNTS, 0.1, {})):
        found(event)
    assert [e["name"] for e in json.loads(found.text())["traceEvents"] if e["ph"] == "X"] == []
