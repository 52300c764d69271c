"""The process that stages are forked from, started and ended; `local` talks to it.

It stands apart, so that a build that is sure to run something can start it first of all: it gets ready beside what the
client still has to import.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile

_PATIENCE_SECONDS = 10.0
_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")


class Launched:
    """A zygote: its process, our end of the channel, and what it says on stderr. It ends when the channel closes."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.channel, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the zygote
        script = os.path.join(os.path.dirname(__file__), "zygote.py")  # noqa: PTH118, PTH120  # pathlib takes 4 ms
        try:
            # -I would also ignore PYTHONHASHSEED; the environment is ours, so -s and -P leave nothing else in.
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", script, str(theirs.fileno())],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C goes to the client alone, who decides
            )
        except OSError:
            self.channel.close()
            self._said.close()
            raise
        finally:
            theirs.close()

    def end(self) -> int:
        """Its exit status, once it has killed what ran below it."""
        self.channel.close()
        # `wait` with a timeout would look for its end ever more seldom, and sleep over it.
        if self.process.poll() is None and not _ends(self.process.pid, _PATIENCE_SECONDS):
            self.process.kill()
        return self.process.wait()

    def last_words(self) -> str:
        self._said.seek(0)
        with self._said as said:
            return said.read().decode("utf-8", "replace")


def _ends(pid: int, seconds: float) -> bool:
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def environment() -> dict[str, str]:
    """What a stage sees of the outside: enough to run, the same on every machine."""
    # The loader's own path is how some installations of accelerators are found; it names no input.
    passed = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    one = {f"{library}_NUM_THREADS": "1" for library in _ONE_THREAD}
    same = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "HOME": "/nonexistent"}
    # onnxruntime asks when it is loaded, which the zygote may do before any code of a stage runs.
    return {**passed, **one, **same, "ORT_DISABLE_TELEMETRY": "1"}
