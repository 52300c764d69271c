"""Builds that are interrupted, killed, side by side, or whose inputs move under them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiny_workspace import Tiny


@pytest.fixture
def slow(tmp_path):
    """`shout` takes a second."""
    tiny = Tiny(tmp_path / "ws")
    tiny.edit("rules/shout_stages.py", "words = ", "import time; time.sleep(1.0); words = ")
    return tiny


def wait_for(condition, what, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} in {seconds} s"
        time.sleep(0.02)


def running_event(path: Path, stage: str) -> bool:
    lines = path.read_text().splitlines() if path.exists() else []
    return any(e["event"] == "action_started" and e["stage"] == stage for e in map(json.loads, lines))


def children_of(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_ends_with_130_and_leaves_nothing(slow, tmp_path, number):
    events = tmp_path / "events"
    client = slow.start("build", "//p:both", "--events", str(events))
    wait_for(lambda: running_event(events, "shout"), "running action")
    zygotes = children_of(client.pid)
    client.send_signal(number)
    out, err = client.communicate(timeout=20)
    assert client.returncode == 130, err
    assert "interrupted" in out
    assert json.loads(events.read_text().splitlines()[-1])["exit_code"] == 130
    assert list((slow.root / "cache/tmp").iterdir()) == []
    assert list((slow.root / "cache/locks").iterdir()) == []
    for pid in zygotes:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "end of the zygote")
    again = slow.build()
    assert sorted(again.executed) == ["join", "look", "shout"], "what had finished is kept, the rest runs"


def test_a_client_killed_by_sigkill_loses_nothing_that_had_finished(slow, tmp_path):
    events = tmp_path / "events"
    client = slow.start("build", "//p:both", "--events", str(events))
    wait_for(lambda: running_event(events, "shout"), "running action")
    zygotes = children_of(client.pid)
    client.kill()
    client.communicate()
    for pid in zygotes:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "end of the zygote")
    again = slow.build()
    assert (again.code, sorted(again.executed)) == (0, ["join", "look", "shout"])
    assert list((slow.root / "cache/tmp").iterdir()) == []


def test_builds_at_once_run_each_action_once(slow, tmp_path):
    events = [tmp_path / name for name in ("one", "two", "three", "four")]
    clients = [slow.start("build", "//p:both", "--events", str(path)) for path in events]
    assert [client.communicate(timeout=30) and client.returncode for client in clients] == [0, 0, 0, 0]
    ran = [
        event["stage"]
        for path in events
        for event in map(json.loads, path.read_text().splitlines())
        if event["event"] == "action_finished" and event["status"] == "executed"
    ]
    assert ran.count("shout") == 1
    assert ran.count("join") == 1
    assert slow.read("axbuild-out/p/both/text") == "HELLO! my world"


def test_an_input_that_changes_while_its_action_runs_is_an_error_and_never_a_result(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.edit("rules/strip_stages.py", "lines = ", "import time; time.sleep(1.0); lines = ")
    events = tmp_path / "events"
    client = tiny.start("build", "//p:a", "--events", str(events))
    wait_for(lambda: running_event(events, "strip"), "running action")
    tiny.write("p/a.txt", "changed meanwhile")
    _, err = client.communicate(timeout=20)
    assert client.returncode == 1
    assert "error AX560: //p:a strip: " in err
    assert "a.txt changed while the build ran" in err
    done = tiny.build("//p:a")
    assert (done.code, done.executed) == (0, ["strip"])
    assert tiny.read("axbuild-out/p/a/text") == "changed meanwhile"


def test_outputs_that_cannot_be_made_exit_3(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.write("axbuild-out", "a file where the folder should be")
    done = tiny.build()
    assert (done.code, "error AX950: the outputs in " in done.err) == (3, True)


def test_jobs_bound_what_runs_at_once(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.edit("rules/strip_stages.py", "lines = ", "import time; time.sleep(0.4); lines = ")

    def most_at_once(jobs: str) -> int:
        done = tiny.build("//p:a", "//p:b", "--jobs", jobs)
        assert done.code == 0
        now = most = 0
        for event in done.events:
            now += (event["event"] == "action_started") - (event["event"] == "action_finished")
            most = max(most, now)
        return most

    assert most_at_once("2") == 2
    tiny.write("p/a.txt", "x")
    tiny.write("p/b.txt", "y")
    assert most_at_once("1") == 1


def test_a_stage_that_kills_the_workers_process_fails_alone(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.edit(
        "rules/strip_stages.py", "lines = ", "import time; time.sleep('my' in text.read_text() and 1.5); lines = "
    )
    tiny.edit("rules/shout_stages.py", "words = ", "import os; os.kill(os.getppid(), 9); words = ")
    done = tiny.run("build", "//p:loud", "//p:b", "--keep_going", "--jobs", "2")
    assert done.code == 3, done.err
    assert done.statuses == {"//p:a strip": "executed", "//p:b strip": "executed", "//p:loud shout": "failed"}
    assert "error AX556: //p:loud shout: the worker process was killed by SIGKILL" in done.err


def test_a_stage_whose_native_code_forks_takes_nobody_with_it(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.edit("rules/shout_stages.py", "words = ", "import ctypes; ctypes.CDLL(None).fork(); words = ")
    done = tiny.build()
    assert "AX556" not in done.err
    assert "Traceback" not in done.err
    assert done.statuses["//p:a strip"] == "executed"


def test_a_parent_that_ignores_the_end_of_its_children_changes_nothing(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    command = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    words = [sys.executable, "-m", "axbuild.cli.entry", "build", "//p:both"]
    done = subprocess.run(
        [sys.executable, "-c", command, *words], cwd=tiny.root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "5 built" in done.stdout) == (0, True), done.stderr


def test_a_build_that_waits_for_another_says_for_whom(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.edit("rules/shout_stages.py", "words = ", "import time; time.sleep(3.0); words = ")
    events = tmp_path / "events"
    first = tiny.start("build", "//p:both", "--events", str(events))
    wait_for(lambda: running_event(events, "shout"), "running action")
    second = tiny.start("build", "//p:both")
    _, said = second.communicate(timeout=40)
    first.communicate(timeout=40)
    assert f"//p:loud shout waits for another build: process {first.pid} makes it (shout) for " in said
    assert (first.returncode, second.returncode) == (0, 0)
