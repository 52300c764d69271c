import io
import json

import pytest

from axbuild.engine.records import events
from axbuild.engine.records.events import (
    ActionFinished,
    ActionStarted,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    EventStream,
    EventWriter,
    TargetConfigured,
    TestResult,
    from_line,
    to_line,
)

EVERY = [
    BuildStarted("b1", "build", ("//m:x",), 1.5, 2),
    TargetConfigured("//m:x", "check", 3, 1),
    ActionStarted("//m:x", "compare", "compare", 0.25),
    Diagnostic("//m:x", "compare", "compare", "AX300", "odd", True),
    ActionFinished(
        "//m:x",
        "compare",
        "compare",
        "t.compare:compare",
        "k",
        "executed",
        "why",
        0.5,
        0.1,
        {"v": "d"},
        ({"what": "x"},),
    ),
    TestResult("//m:x", False, "y[0] is 1, limit 2", {"passed": False}),
    BuildFinished(1, {"executed": 1}, 0.6, {"//m:x": ["axbuild-out/m/x/v"]}, ({"code": "AX500"},)),
]


@pytest.mark.parametrize("event", EVERY, ids=lambda event: type(event).__name__)
def test_an_event_survives_its_line(event):
    assert from_line(to_line(event)) == event


def test_lines_are_named_in_snake_case_and_versioned():
    records = [json.loads(to_line(event)) for event in EVERY]
    assert [record["event"] for record in records] == [
        "build_started",
        "target_configured",
        "action_started",
        "diagnostic",
        "action_finished",
        "test_result",
        "build_finished",
    ]
    assert records[0]["version"] == 1


def test_fields_of_a_later_version_are_dropped():
    record = json.loads(to_line(EVERY[1])) | {"colour": "blue"}
    assert from_line(json.dumps(record)) == EVERY[1]


def test_a_line_that_a_killed_build_left_incomplete_is_dropped(tmp_path):
    path = tmp_path / "events"
    path.write_text(to_line(EVERY[0]) + "\n" + to_line(EVERY[1]) + "\n" + to_line(EVERY[2])[:20])
    assert events.read(path) == EVERY[:2]


def test_every_listener_hears_every_event_and_a_writer_writes_at_once():
    out, heard = io.StringIO(), []
    stream = EventStream(EventWriter(out), heard.append)
    stream.emit(EVERY[0])
    assert heard == [EVERY[0]]
    assert out.getvalue() == to_line(EVERY[0]) + "\n"
    assert 0 <= stream.now() < 5
