"""What a build looks like from outside: on a terminal, in a pipe, quiet and loud, as a trace."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
from fcntl import ioctl
from itertools import pairwise
from termios import TIOCSWINSZ

import pytest

from tiny_workspace import Tiny

SLOW = "import time; time.sleep(0.8); words = "


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path / "ws")


def on_a_terminal(tiny, *arguments, columns=80, rows=24, **environment):
    """Everything written to a terminal of that size, and the exit code."""
    leader, follower = pty.openpty()
    ioctl(follower, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AXBUILD_") and key != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "axbuild.cli.entry", *arguments],
        cwd=tiny.root,
        env=clean | {"TERM": "xterm-256color"} | environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(leader)
    return process.wait(timeout=60), written.decode()


def plain(text):
    """The text in the order in which it was written; where the cursor goes back, a new line begins."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", re.sub(r"(\r|\x1b\[[0-9]*[AK])+\n?", "\n", text))


def test_a_terminal_shows_what_runs_with_its_clock_and_keeps_only_what_has_finished(tiny):
    tiny.edit("rules/shout_stages.py", "words = ", SLOW)
    code, written = on_a_terminal(tiny, "build", "//p:loud")
    shown = plain(written)
    assert code == 0
    assert re.search(r"\[1/2\] 1 running, \d\.\d s\n", shown), shown
    assert " left" not in shown, "nothing ran here before"
    assert re.search(r"  \d\.\d s  //p:loud shout", shown)
    assert re.search(
        r"critical path: 0\.\d s in 2 actions, the slowest of them\n     0\.\d s  //p:loud shout\n\Z", shown
    )


def test_the_time_left_comes_from_the_last_build(tiny):
    tiny.edit("rules/shout_stages.py", "words = ", SLOW.replace("0.8", "2.4"))
    tiny.build("//p:loud")
    tiny.edit("p/BUILD.toml", 'of = ":a"', 'of = ":a"\nmark = "?"')
    _, written = on_a_terminal(tiny, "build", "//p:loud")
    assert re.search("about [12] s left", plain(written))


@pytest.mark.parametrize("columns", [40, 60, 200])
def test_no_line_of_the_live_display_is_wider_than_the_terminal(tiny, columns):
    tiny.edit("rules/shout_stages.py", "words = ", SLOW)
    _, written = on_a_terminal(tiny, "build", "//p:loud", columns=columns)
    live = [line for line in plain(written).split("\n") if "running" in line or re.match(r" +\S+ m?s  //", line)]
    assert live
    assert max(map(len, live)) <= columns


def test_no_color_leaves_no_colour_on_a_terminal(tiny):
    tiny.edit("rules/shout_stages.py", "words = ", SLOW)
    _, coloured = on_a_terminal(tiny, "test", "//p:short")
    tiny.edit("p/BUILD.toml", "most = 40", "most = 50")
    _, bare = on_a_terminal(tiny, "test", "//p:short", NO_COLOR="1")
    assert re.search("\x1b\\[[0-9;]*m", coloured)
    assert not re.search("\x1b\\[[0-9;]*[1-9][0-9;]*m", bare)
    assert "PASSED //p:short" in bare


def test_a_pipe_gets_plain_lines_and_the_result_alone_on_stdout(tiny):
    done = tiny.build("//p:loud")
    assert "\x1b" not in done.out + done.err
    assert done.err.splitlines()[0].startswith("[1/2] //p:a strip ")
    assert done.out.splitlines()[:2] == ["//p:loud", "  axbuild-out/p/loud/text"]
    assert re.fullmatch(r"done: 2 built, 0 reused in \S+ m?s", done.out.splitlines()[2])


def test_quiet_says_nothing_of_a_build_that_succeeds(tiny):
    for _ in range(3):  # built, and then from its snapshot
        done = tiny.build("//p:short", "-q")
        assert (done.code, done.out, done.err) == (0, "", "")
    tiny.edit("p/BUILD.toml", "most = 40", "most = 3")
    done = tiny.build("//p:short", "--quiet")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"FAILED //p:short in \S+ m?s: 15 letters, limit 3\n", done.err)
    tiny.write("p/b.txt", "ugly")
    done = tiny.build("//p:both", "--quiet")
    assert (done.code, "error AX300: //p:both look: an ugly word" in done.err) == (2, True)


def test_quiet_still_answers_programs(tiny):
    assert json.loads(tiny.build("//p:loud", "-q", "--json").out)["exit_code"] == 0


def test_verbose_tells_of_reused_actions_and_of_memory(tiny):
    assert re.search(r"\[1/2\] //p:a strip \S+ m?s, \d+ MiB\n", tiny.build("//p:loud", "-v").err)
    assert "[1/2] //p:a strip valid\n" in tiny.build("//p:loud", "-v").err


def test_quiet_and_verbose_contradict_each_other(tiny):
    done = tiny.build("//p:loud", "-q", "-v")
    assert (done.code, "--quiet and --verbose contradict each other" in done.err) == (2, True)


def test_explain_tells_since_which_build_a_result_is_valid(tiny):
    tiny.build("//p:loud")
    done = tiny.build("//p:loud", "--explain")
    assert re.search(r"//p:a strip valid since build 1, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", done.err)


def test_a_dry_run_tells_programs_what_would_run_and_why(tiny):
    tiny.build("//p:both")
    tiny.edit("p/a.txt", "hello", "bye")
    record = json.loads(tiny.build("//p:both", "-n", "--json").out)
    planned = {f"{one['label']} {one['action']}": one for one in record["planned"]}
    assert {name: one["certain"] for name, one in planned.items()} == {
        "//p:a strip": True,
        "//p:loud shout": False,
        "//p:both look": False,
        "//p:both join": False,
    }
    assert planned["//p:a strip"]["causes"][0]["where"] == "p/a.txt"
    assert "planned" not in json.loads(tiny.build("//p:both", "--json").out)


def test_a_profile_has_a_lane_a_worker_and_the_critical_path(tiny, tmp_path):
    file = tmp_path / "trace.json"
    assert tiny.build("//p:both", "--profile", str(file), "--jobs", "2").code == 0
    trace = json.loads(file.read_text())
    lanes = {e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    bars = [(lanes[e["tid"]], e["name"], e["ts"], e["ts"] + e["dur"]) for e in trace["traceEvents"] if e["ph"] == "X"]
    assert {name for lane, name, *_ in bars if lane.startswith("worker")} == {"strip", "shout", "look", "join"}
    assert {lane for lane, *_ in bars} <= {"axbuild", "critical path", "worker 1", "worker 2"}
    for lane in ("worker 1", "worker 2"):
        spans = sorted((begin, end) for where, _, begin, end in bars if where == lane)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    chain = [name for lane, name, *_ in bars if lane == "critical path"]
    assert chain[0] == "strip"
    assert chain[-1] in ("join", "look")


def test_a_profile_that_cannot_be_written_is_told_before_anything_runs(tiny, tmp_path):
    done = tiny.build("//p:both", "--profile", str(tmp_path))
    assert done.code == 2
    assert "error AX251: --profile: " in done.err
    assert done.events == []


def test_builds_and_diff_tell_of_the_last_builds(tiny):
    tiny.build("//p:short")
    tiny.edit("p/BUILD.toml", "most = 40", "most = 30")
    tiny.edit("p/a.txt", "hello", "bye")
    tiny.build("//p:short")
    listed = tiny.run("builds").out
    assert re.search(r"^   1  \S+ \S+  axbuild build //p:short\n +done in \S+ m?s, 6 built$", listed, re.MULTILINE)
    assert json.loads(tiny.run("builds", "--json").out)[0]["number"] == 2
    text = tiny.run("diff").out
    assert "  p/a.txt changed: " in text
    assert "  parameter most: 40 -> 30 (//p:short measure)" in text
    assert "    - 15 letters, limit 40\n    + 13 letters, limit 30" in text
    assert tiny.run("diff", "1", "last").out == text == tiny.run("diff", "-1").out
    record = json.loads(tiny.run("diff", "2", "1", "--json").out)
    assert (record["first"]["number"], record["second"]["number"], record["same"]) == (2, 1, 1)
    moved = {f"{one['label']} {one['action']}": one for one in record["moved"]}
    assert moved["//p:a strip"]["causes"][0]["where"] == "p/a.txt"
    assert moved["//p:short measure"]["same_outputs"] is False


def test_a_build_that_is_not_on_record_is_an_error(tiny):
    tiny.build("//p:a")
    for words in (("diff", "7"), ("diff", "last", "-9"), ("diff", "yesterday")):
        done = tiny.run(*words)
        assert (done.code, "error AX257: there is no build" in done.err) == (2, True)
    assert "on record are the builds 1; `axbuild builds` lists them" in tiny.run("diff").err


def test_why_names_a_pipe_reader_that_left_early_no_error(tiny):
    tiny.build("//...")
    command = f"{shlex.quote(sys.executable)} -m axbuild.cli.entry why //... | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=tiny.root, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("build 1, ")
    assert "Traceback" not in done.stderr
