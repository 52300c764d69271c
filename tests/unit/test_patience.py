"""A build that waits says for what, in pipes too."""

from __future__ import annotations

import io
import os
import time

from axbuild.engine.records.events import ActionStarted, EventStream, Heartbeat, LockAwaited, TargetConfigured
from axbuild.engine.run.patience import Patience
from axbuild.report.lines import PlainRenderer
from axbuild.store.store import Store

ID = ("//m:a", "compile")
HOLDER = {"label": "//m:b", "action": "compile_b1", "stage": "compile", "pid": 42, "time": 0.0}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def patience():
    events, clock = [], Clock()
    return Patience(EventStream(events.append), clock), clock, events


def test_a_lock_is_told_of_after_a_second_and_every_half_minute():
    waiting, clock, events = patience()
    told = {}
    for tenth in range(700):
        clock.now = 100.0 + tenth / 10
        waiting.locked(ID, "compile", lambda: HOLDER)
        told[len(events)] = told.get(len(events), tenth / 10)
    assert told == {0: 0.0, 1: 1.0, 2: 31.0, 3: 61.0}
    assert [(event.label, event.seconds, event.holder) for event in events] == [
        ("//m:a", 1.0, HOLDER),
        ("//m:a", 31.0, HOLDER),
        ("//m:a", 61.0, HOLDER),
    ]
    waiting.unlocked(ID)
    waiting.locked(ID, "compile", lambda: HOLDER)
    assert len(events) == 3


def test_half_a_minute_in_which_nothing_happens_has_one_sign_of_life():
    waiting, clock, events = patience()
    for second, something in ((10, True), (39, False), (41, False), (50, False), (71, True), (100, False)):
        clock.now = 100.0 + second
        waiting.waited(something)
    assert [type(event) for event in events] == [Heartbeat]


def test_the_lines_name_what_is_waited_for_and_what_still_runs():
    out = io.StringIO()
    renderer = PlainRenderer(out)
    renderer(TargetConfigured("//m:a", "axmodel", 9, 0))
    for number in range(5):
        renderer(ActionStarted("//m:a", f"c{number}", "compile", float(number)))
    renderer(Heartbeat(90.0))
    renderer(LockAwaited(*ID, "compile", 1.0, HOLDER | {"time": time.time() - 65}, 91.0))
    renderer(
        LockAwaited(*ID, "compile", 1.0, HOLDER | dict(zip(("label", "action"), ID, strict=True)) | {"time": 0}, 91.0)
    )
    renderer(LockAwaited(*ID, "compile", 1.0, {}, 91.0))
    lines = out.getvalue().splitlines()
    assert lines[0] == (
        "[0/9] still running: //m:a c0 1 min 30 s, //m:a c1 1 min 29 s, //m:a c2 1 min 28 s, and 2 more"
    )
    assert lines[1] == (
        "//m:a compile waits for another build: process 42 makes it, as //m:b compile_b1 (compile) for 1 min 5 s"
    )
    assert lines[2].startswith("//m:a compile waits for another build: process 42 makes it (compile) for ")
    assert lines[3] == "//m:a compile waits for another build that makes it"


def test_the_holder_of_a_lock_is_read_by_others_and_garbage_is_nobody(tmp_path):
    with Store(tmp_path / "cache") as store:
        lock = store.lock("ab" * 32)
        assert lock.acquire()
        assert store.lock("ab" * 32).said() == {}
        lock.say({"pid": os.getpid()})
        assert store.lock("ab" * 32).said() == {"pid": os.getpid()}
        lock.path.write_text("[1")
        assert store.lock("ab" * 32).said() == {}
        lock.release()
