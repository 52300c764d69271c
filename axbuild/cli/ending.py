"""The way from whatever went wrong to an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from axbuild.cli import interrupts
from axbuild.codes import INTERRUPTED, TOOL_FAILED, exit_code_of
from axbuild.errors import AxError

# A write to a stream names no file. The store and the outputs tell of their own disk before it comes to this.
_STREAM_FAILURES = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Unsaid(AxError):
    code = "AX952"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the standard output cannot be written: {reason}")


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let Ctrl-C end the command in good order; a process that is not ours alone keeps its handlers."""
    if not interrupts.is_begun():
        yield
        return
    interrupts.set_handler(interrupts.unwind)
    try:
        yield
    finally:
        interrupts.set_handler(interrupts.end_at_once)


def ended(command: Callable[[], int]) -> int:
    """Run a command; the process's exit code, and on stderr what a user should know of its failure."""
    try:
        with _unwinding():
            return command()
    except AxError as error:
        from axbuild.report.style import Style

        print(Style(sys.stderr).at_words(str(error)), file=sys.stderr)
        return exit_code_of(error.code)
    except KeyboardInterrupt:
        interrupts.tell()
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _STREAM_FAILURES:
            unsaid = Unsaid(error.strerror or str(error))
            print(unsaid, file=sys.stderr)
            return exit_code_of(unsaid.code)
        import traceback

        # A defect of ours: the trace goes to the user, who is asked to report it.
        traceback.print_exc()
        print("error AX900: axbuild itself failed; this is a defect, please report the lines above", file=sys.stderr)
        return TOOL_FAILED
