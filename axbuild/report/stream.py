"""The streams that lines are printed to: newlines and our own colours pass, nothing else that a terminal would obey."""

from __future__ import annotations

import io
import re
import sys

from axbuild.errors import HIDDEN, visible

# The colours of `style`, known by their form: sequences that colour and do no more.
_OURS = re.compile("(\n|\t|\033\\[(?:0|1|2|31|32|33|36)m)")


class CleanStream(io.TextIOWrapper):
    """`stream` from now on, for lines. unfiltered: the same, for what moves the cursor on purpose."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.unfiltered = stream
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str) -> int:
        parts = _OURS.split(text) if HIDDEN.search(text) else (text,)
        super().write("".join(part if at % 2 else visible(part) for at, part in enumerate(parts)))
        return len(text)


def clean_streams() -> None:
    """Let what this process prints pass such streams from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, CleanStream):
            setattr(sys, name, CleanStream(stream))
