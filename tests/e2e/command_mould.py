"""Commands run by a process that has imported all: it forks one for each, which is the whole command in all but the
start of an interpreter. `python command_mould.py` is that process; `Mould` starts it and asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo_workspace import Outcome

LONGEST_SECONDS = 60
"""of a command; one that waits for ever ends with the signal"""


class Mould:
    def __init__(self, process: subprocess.Popen[str], room: Path) -> None:
        """room: where what a command says is kept until it is read."""
        self._process, self._room = process, room

    def run(self, cwd: Path, *arguments: str) -> Outcome:
        """What `axbuild` does with the arguments; without events."""
        out, err = self._room / "out", self._room / "err"
        asked = {"cwd": str(cwd), "arguments": arguments, "out": str(out), "err": str(err)}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Outcome(code, *(file.read_bytes().decode() for file in (out, err)), [])


@contextmanager
def mould(room: Path, environment: Mapping[str, str]) -> Iterator[Mould]:
    with subprocess.Popen(
        [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Mould(process, room)
        assert process.stdin
        process.stdin.close()


def _serve() -> None:
    import axbuild.cli.app
    import axbuild.engine.build
    import axbuild.report.pulsar2_chapters
    import axbuild.toolchain.pulsar2.marked_yaml
    import axbuild.toolchain.pulsar2.run  # noqa: F401  # imported to be there
    from axbuild.cli.entry import main

    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(main, json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(main: Any, asked: Mapping[str, Any]) -> None:
    signal.alarm(LONGEST_SECONDS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(asked["cwd"])
    sys.argv = ["axbuild", *asked["arguments"]]
    code: int | str | None = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # as the interpreter ends with what nothing caught
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    _serve()
