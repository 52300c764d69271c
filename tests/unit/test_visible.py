"""Text of others in our lines: it moves no cursor, ends no line, hides and reorders nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from axbuild.engine.records.events import ActionFinished, BuildFinished, BuildStarted, Diagnostic, TestResult, to_line
from axbuild.errors import AxError, Place, visible
from axbuild.report.junit import JUnit
from axbuild.report.lines import PlainRenderer
from axbuild.report.summary import Summary

EVIL = "a\033[2J\033[31mb\r\ndone: 3 built\u202e\x9b\u2066\u200b\udc80"
TAME = r"a\x1b[2J\x1b[31mb\r\ndone: 3 built\u202e\x9b\u2066\u200b\udc80"


def test_what_a_terminal_would_obey_is_written_out_and_letters_stay():
    assert visible(EVIL) == TAME
    assert (
        visible("größe 模型 \u0646\u200c\u0641 👩\u200d🔬\u3000x") == "größe 模型 \u0646\u200c\u0641 👩\u200d🔬\u3000x"
    )


def test_an_error_shows_every_part_of_it():
    error = AxError(EVIL, place=Place(EVIL, 3, EVIL), hint=EVIL)
    assert str(error) == f"{TAME}:3: error AX900: {TAME}\n  3 | {TAME}\n  hint: {TAME}"


EVENTS = [
    BuildStarted("id", "build", ("//a",), 0.0, 1),
    Diagnostic("//a:b", EVIL, "stage", "AX1", EVIL, False),
    ActionFinished("//a:b", EVIL, "stage", "s:f", "k", "failed", EVIL, 0.0, error=AxError(EVIL).record()),
    TestResult("//a:b", False, EVIL, {EVIL: EVIL}),
    BuildFinished(
        1, dict.fromkeys(("executed", "up_to_date", "cached", "failed", "skipped"), 1), 1.0, {"//a:b": [EVIL]}
    ),
]


@pytest.mark.parametrize("make", [PlainRenderer, JUnit, Summary])
def test_no_renderer_of_events_lets_it_through(make):
    out = io.StringIO()
    renderer = make(out) if make is PlainRenderer else make()
    for event in EVENTS:
        renderer(event)
    text = renderer.text(out) if make is Summary else renderer.text() if make is JUnit else out.getvalue()
    assert TAME in text
    assert not set(text) & set("\033\r\u202e\x9b\u2066\u200b\udc80")
    assert not any(line.startswith("done: 3 built") for line in text.splitlines())


def test_the_event_file_is_ascii_and_gives_the_text_back():
    lines = [to_line(event) for event in EVENTS]
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert json.loads(lines[1])["sentence"] == EVIL


def test_the_streams_of_the_client_let_only_our_colours_and_newlines_pass():
    code = (
        "import sys; from axbuild.report.stream import clean_streams; clean_streams();"
        "print('\\033[31mred\\033[0m\\tx\\033[2J\\033[5m\\x9b\\u202e\\udc80');"
        "print('\\x07', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"\033[31mred\033[0m\tx" + rb"\x1b[2J\x1b[5m\x9b\u202e\udc80" + b"\n"
    assert done.stderr == rb"\x07" + b"\n"
