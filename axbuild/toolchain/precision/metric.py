"""A task's own figure of a model's answers, by a Python script of the user's."""

from __future__ import annotations

import io
import math
import runpy
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.precision.side import Tensors

SECONDS = 120
"""that a script may take for one model's answers"""


class MetricError(AxError):
    """AX475: a metric's script that fails, takes too long, or ends without a number."""

    code = "AX475"


class Metric:
    """A script, called with a folder that holds `<sample>.npz` with the outputs by name, and with its data: a file, or
    a folder of several. The last line that it prints is the figure; larger is better.

    It runs inside the walls of the stage: numpy is there; the network, other files and other processes are not.
    """

    def __init__(self, script: Path, data: list[Path]) -> None:
        self.script, self.data = script, data

    def of(self, answers: Iterable[tuple[str, Tensors]]) -> float:
        """answers: (sample, its outputs); raises MetricError."""
        with tempfile.TemporaryDirectory() as folder:
            for sample, outputs in answers:
                np.savez(Path(folder, f"{sample}.npz"), allow_pickle=False, **outputs)
            return _figure(self._printed([folder, *map(str, self.data)]))

    def _printed(self, arguments: list[str]) -> str:
        printed = io.StringIO()
        try:
            with _called(str(self.script), arguments), _bounded(), redirect_stdout(printed):
                runpy.run_path(str(self.script), run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise MetricError(f"the metric's script ended with {ended.code}") from None
        # Whatever a script of the user's may raise, it is the script that failed.
        except Exception as error:
            raise MetricError(f"the metric's script failed: {type(error).__name__}: {error}") from error
        return printed.getvalue()


def _figure(printed: str) -> float:
    last = printed.strip().rpartition("\n")[2]
    try:
        figure = float(last)
    except ValueError:
        figure = math.nan
    if math.isnan(figure):
        raise MetricError(f"the last line that the metric's script prints must be a number, and it is {last!r}")
    return figure


@contextmanager
def _called(script: str, arguments: list[str]) -> Iterator[None]:
    held, sys.argv = sys.argv, [script, *arguments]
    try:
        yield
    finally:
        sys.argv = held


@contextmanager
def _bounded() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {SECONDS} s")

    held = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, held)
