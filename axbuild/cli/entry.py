"""Where the process begins. Nothing heavy is imported here: a build that has nothing to do ends before click."""

from __future__ import annotations

import gc
import os
import sys

from axbuild.cli import interrupts

interrupts.begin()

from axbuild.engine.noop import snapshot  # noqa: E402  # what comes before is what an interrupt finds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from axbuild.engine.workers.launch import Launched

USAGE_VERSION = (["version"], ["--version"])


def main() -> None:
    """The console script `axbuild`."""
    _open_streams()
    arguments = sys.argv[1:]
    if arguments in USAGE_VERSION:
        from axbuild.version import __version__

        print(f"axbuild {__version__}")
        return
    # The client lives for one command and what it makes lives as long: to look for garbage costs a tenth of it.
    gc.disable()
    found = snapshot.look(arguments)
    if found is not None and found.is_answer and _may_write(found.words.events) and _answered(found):
        # Nothing is open or buffered, and to take the interpreter down by the book would cost a tenth of the build.
        os._exit(0)
    from axbuild.report.stream import clean_streams

    clean_streams()
    if found is None:
        sys.exit(_whole(arguments))
    ahead = _launched() if found.changed_sources else None
    if found.changed and _may_write(found.words.events) and _settled(found) and _answered(found):
        os._exit(0)
    if ahead is None and found.edits is not None and found.edits.reached:
        ahead = _launched()
    _leave(_plain(found, ahead))


def _leave(code: int) -> NoReturn:
    """End without taking every object down: all files are closed, and a large graph would take seconds."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # Python's own way has its words for a stream that cannot be written
    os._exit(code)


def _launched() -> Launched | None:
    """Where stages will run, for a build that is sure to run some: it gets ready beside our own imports."""
    from axbuild.engine.workers.launch import Launched

    try:
        return Launched()
    except OSError:  # which the build will meet again, and tell
        return None


def _plain(found: snapshot.Found, ahead: Launched | None) -> int:
    """A build or test whose flags are all known without click, which is a tenth of a small build."""
    from axbuild.cli.ending import ended
    from axbuild.cli.running import run, settled

    return ended(lambda: run(found.words.verb, settled(found.words), found, ahead))


def _whole(arguments: list[str]) -> int:
    from axbuild.cli.app import run

    return run(arguments)


def _settled(found: snapshot.Found) -> bool:
    """Whether only texts changed, and mean what they meant."""
    from axbuild.engine.noop.edits import settle

    return settle(found)


def _may_write(events: str) -> bool:
    if not events:
        return True
    from axbuild.engine.noop.overwrite import refusal

    return not refusal("--events", events)


def _answered(found: snapshot.Found) -> bool:
    """Whether all could be said; what cannot be written is told by the whole way, which has the sentences for it."""
    try:
        if found.lacks_texts:
            from axbuild.cli.keeping import add_texts_for_programs

            add_texts_for_programs(found)
        snapshot.answer(found)
    except BrokenPipeError:  # whoever read has gone
        return True
    except OSError:
        return False
    return True


def _open_streams() -> None:
    """Give a stream that the caller closed (`>&-`) an end: else the next file opened would be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  open until the process ends


if __name__ == "__main__":
    main()
