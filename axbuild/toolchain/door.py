"""Where a library is given a user's bytes: whatever it raises there is the user's error, in a sentence of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from axbuild.errors import AxError


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
    lines = " ".join(line.strip() for line in text.strip().splitlines()[:3] if line.strip())
    return lines[:400]
