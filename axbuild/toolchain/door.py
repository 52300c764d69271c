"""Where a library is given a user's bytes: whatever it raises there is the user's error, in a sentence of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from axbuild.errors import AxError

_COMPARED = r".*? was false\. "
_ORIGIN = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |"
    rf"/\S+\.(?:cc|cpp|h):\d+ .*?\)(?: const)? (?:{_COMPARED}|(?=[A-Z\"']))"
)
"""how onnxruntime begins: its code, and the file, line and function that noticed, and what they compared"""


@contextmanager
def door(told: Callable[[str], AxError]) -> Iterator[None]:
    """Turn an exception of the library into `told(its first lines)`; errors of ours and lack of memory pass."""
    try:
        yield
    except (AxError, MemoryError):
        raise
    # ONNX, its converters and numpy name no closed list of what they raise for a damaged model.
    except Exception as error:
        raise told(_first_lines(str(error)) or type(error).__name__) from None


def _first_lines(text: str) -> str:
    """Without the dump of the node that follows them."""
    return in_words(" ".join(text.strip().splitlines()[:3]))


def in_words(text: str) -> str:
    """A library's message in one line of at most 400 characters, without places in its own source."""
    return _ORIGIN.sub("", " ".join(text.split()))[:400]
