"""Ctrl-C at whatever moment: 130, one line, no trace of Python's, and the cursor back on a terminal."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
import textwrap

import pytest

from tiny_workspace import Tiny

# Interrupts the process at its n-th audit event (imports, opened files, started processes) after ours have begun.
INTERRUPTED = textwrap.dedent("""
    import os, signal, sys
    left, again = int(sys.argv[1]), int(sys.argv[2])
    def count(event, _arguments):
        global left
        left -= 1
        if left in (0, -again):
            os.kill(os.getpid(), signal.SIGINT)
    import axbuild.cli.interrupts
    axbuild.cli.interrupts.begin()
    sys.addaudithook(count)
    from axbuild.cli.entry import main
    sys.argv = ["axbuild", *sys.argv[3:]]
    sys.exit(main())
""")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Tiny(tmp_path_factory.mktemp("interrupts") / "ws")


def interrupted(tiny, at, again, *words):
    command = [sys.executable, "-c", INTERRUPTED, str(at), str(again), *words]
    return subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("at", [1, 2, 3, 5, 10, 30, 70, 150, 250, 400, 600, 700, 800])
def test_an_interrupt_at_any_moment_is_130_and_one_line(tiny, at):
    done = interrupted(tiny, at, 0, "build", "//p:both")
    if done.returncode == 0:
        assert at > 600, "the build ended before it was interrupted"
        return
    said = done.stdout + done.stderr
    assert done.returncode == 130, said
    assert said.count("interrupted") == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.parametrize("again", [1, 3, 10])
def test_a_second_interrupt_ends_at_once(tiny, again):
    done = interrupted(tiny, 300, again, "build", "//p:both", "--config", "none")
    assert done.returncode in (130, 2)
    assert "Traceback" not in done.stdout + done.stderr


def test_on_a_terminal_the_cursor_comes_back(tiny):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", INTERRUPTED, "40", "0", "build", "//p:both"]
    done = subprocess.run(command, cwd=tiny.root, stdout=theirs, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 130
    assert said.endswith(b"\033[?25hinterrupted\r\n")


def test_a_command_whose_parent_ignores_interrupts_ignores_them_too(tiny):
    command = [
        "bash",
        "-c",
        f"trap '' INT; exec {shlex.quote(sys.executable)} -c \"$0\" 100 0 query //...",
        INTERRUPTED,
    ]
    done = subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
