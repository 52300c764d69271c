"""What a build answered from its snapshot says: the same as the build before it, in fewer words."""

from __future__ import annotations

import json
import time

import pytest

from axbuild.engine.noop import snapshot
from axbuild.engine.records.events import read
from tiny_workspace import Tiny


def answer(tiny, *targets):
    """A build answered from the snapshot; one that follows an edit of axbuild's own modules may have none yet."""
    for _ in range(4):
        done = tiny.build(*targets)
        if not any(event["action"] for event in done.of("action_finished")):
            return done
        time.sleep(1)
    return pytest.fail("there is no snapshot")


def test_the_tiny_workspaces_answer_is_what_the_build_before_it_said(tmp_path):
    tiny = Tiny(tmp_path / "tiny")
    tiny.edit("p/a.txt", "hello", "odd")
    first = tiny.build("//p:both", "//p:short", "//p:words")
    assert first.code == 0, first.err
    answered = answer(tiny, "//p:both", "//p:short", "//p:words")
    plain = tiny.build("//p:both", "//p:short", "//p:words", _AXBUILD_NO_SNAPSHOT="1")
    actions = sum(first.events[-1]["counts"].values())
    lines = {e["label"]: e["status"] for e in answered.of("action_finished")}
    assert lines == dict.fromkeys(("//p:both", "//p:short", "//p:words"), "up_to_date")
    assert answered.events[-1]["counts"]["up_to_date"] == actions
    assert answered.events[-1]["outputs"] == first.events[-1]["outputs"]
    assert [e["sentence"] for e in answered.of("diagnostic")] == ["the text is odd"]
    assert [(e["label"], e["passed"]) for e in answered.of("test_result")] == [("//p:short", True)]
    assert read(tmp_path / "tiny.jsonl"), "every line is an event"
    assert _words(answered.out) == _words(plain.out)
    assert answered.err == plain.err
    as_json = json.loads(tiny.run("build", "//p:both", "//p:short", "//p:words", "--json").out)
    assert as_json["counts"] == answered.events[-1]["counts"]
    assert as_json["seconds"] < 60


def _words(text):
    """Without the duration at the end."""
    return text.rpartition(" in ")[0]


def test_a_failing_check_is_never_an_answer(tmp_path):
    tiny = Tiny(tmp_path / "tiny")
    tiny.edit("p/BUILD.toml", "most = 40", "most = 3")
    for _ in range(3):
        done = tiny.build("//p:short")
        assert (done.code, [e["passed"] for e in done.of("test_result")]) == (1, [False])
    assert not (tiny.root / snapshot.FOLDER).exists()
