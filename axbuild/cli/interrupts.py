"""Ctrl-C at any moment: exit code 130, one line, and the cursor is there again.

While a command runs, the first Ctrl-C unwinds it, so that workers end and locks are let go of. Before and after that,
and when a second one comes, there is nothing to lose that the next build would miss: the process ends at once.
Imported first of all, by a build with nothing to do as well, so that nothing heavy may stand here.
"""

from __future__ import annotations

# The module behind `signal`, less the enumerations that it takes milliseconds to make.
import _signal  # type: ignore[import-not-found]  # it has no stubs
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn

SIGINT: int = _signal.SIGINT
_SHOW_CURSOR = b"\r\033[K\033[?25h"


def end_at_once(*_signal: Any) -> NoReturn:
    tell()
    os._exit(130)


def tell() -> None:
    """The line, with the cursor back where a display may have hidden it."""
    try:
        os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + b"interrupted\n")
    except OSError:
        return  # nobody listens


def unwind(number: int, _frame: Any) -> NoReturn:
    """The handler while a command runs."""
    _signal.signal(SIGINT, end_at_once)
    _signal.signal(number, end_at_once)
    raise KeyboardInterrupt


def begin() -> None:
    """From now on; where the parent has us ignore Ctrl-C (nohup, a script's background), that stays so.

    That it ignores the end of its own children is not ours to inherit: nobody could wait for a worker then.
    """
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    if _signal.getsignal(SIGINT) is _signal.default_int_handler:
        _signal.signal(SIGINT, end_at_once)
        sys.excepthook, sys.unraisablehook = _excepthook, _unraisablehook


def is_begun() -> bool:
    return _signal.getsignal(SIGINT) is end_at_once


def set_handler(handler: Any) -> None:
    _signal.signal(SIGINT, handler)


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        end_at_once()
    sys.__excepthook__(kind, error, trace)


def _unraisablehook(unraisable: Any) -> None:
    """An interrupt that Python could raise nowhere, as in a callback of its import locks."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        end_at_once()
    sys.__unraisablehook__(unraisable)
