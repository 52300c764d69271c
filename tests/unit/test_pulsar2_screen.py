"""Where `pulsar2 build` prints: whole lines in a pipe, lines that fit on a terminal."""

import io

import pytest

from axbuild.engine.records.events import Fetching
from axbuild.report.pulsar2_screen import WIDE, Screen
from axbuild.report.pulsar2_tables import model_table
from axbuild.report.story import Line
from axbuild.report.text_table import TextTable
from axbuild.toolchain.pulsar2.facts import ModelFacts

SAID = Line("estimate at batch 1: 271,698 cycles; no schedule takes fewer cycles than 205,732", "WARNING")
LONG = "x" * 300
TABLE = TextTable(("title", f"┏{'━' * 302}┳━━━━┓", f"┃ {'Operator':<300} ┃ MSE┃", f"│ {LONG} │ 0.0│"), ())


class Out(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def screen(monkeypatch):
    def made(*, terminal, columns=60):
        out = Out(terminal=terminal)
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return Screen(), out

    return made


def test_a_pipe_gets_every_line_whole_and_without_colour(screen):
    shown, out = screen(terminal=False)
    shown.say(SAID)
    shown.say(TABLE)
    assert out.getvalue().splitlines() == [f"WARNING | {SAID.text}", *TABLE.lines]
    assert len(TABLE.lines[1]) > WIDE


def test_a_terminal_gets_lines_that_end_at_words_and_tables_that_are_not_torn(screen):
    shown, out = screen(terminal=True)
    shown.say(SAID)
    shown.say(TABLE)
    warned, below, *table = out.getvalue().replace("\x1b[33m", "").replace("\x1b[0m", "").splitlines()
    assert warned == "WARNING | estimate at batch 1: 271,698 cycles; no schedule"
    assert below == "    takes fewer cycles than 205,732"
    assert "\x1b[33mWARNING" in out.getvalue()
    assert [len(line) for line in table[1:]] == [60] * 3
    assert table[3].endswith("x… │ 0.0│")


def test_a_table_without_heads_has_no_empty_line_of_them(screen):
    shown, out = screen(terminal=False)
    facts = ModelFacts("net", 18, 10, {"x": "float32: (1, 3)"}, {"y": "float32: (1, 4)"}, {"Gemm": 1}, 2**20)
    shown.say(model_table(facts))
    lines = out.getvalue().splitlines()
    assert [line.strip("| ").split()[0] for line in lines if line.startswith("|")] == [
        "Model", "Model", "IN", "OUT", "OPS", "Model",
    ]  # fmt: skip


def test_a_pipe_is_told_of_a_file_on_its_way_in_lines(screen):
    shown, out = screen(terminal=False)
    for done, at in ((0, 0.0), (10, 3.0), (20, 11.0)):
        shown.progress(Fetching("//:m", "decode", "decode", "s3://b/set.tar", done, 2000, at))
    assert out.getvalue().splitlines() == [
        "INFO    | fetches s3://b/set.tar: 0.0 of 2.0 kB",
        "INFO    | fetches s3://b/set.tar: 0.0 of 2.0 kB",
    ]
