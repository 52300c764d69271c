"""The list of tensors to watch, as observation reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from axbuild.errors import AxError

FORMAT = "axbuild-watch/1"


class WatchListError(AxError):
    """A watch list that is damaged or of another format."""

    code = "AX355"


@dataclass(frozen=True)
class WatchedTensor:
    """One float tensor. axis: of its channels; type: of its elements; segment: the part of the graph it stands in."""

    name: str
    axis: int
    type: str
    segment: int = 0


def read_watched(path: Path) -> list[WatchedTensor]:
    """The list in its file's order; raises WatchListError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise WatchListError(f"the watch list is not of the format {FORMAT}")
        return [WatchedTensor(**row) for row in content["tensors"]]
    except (ValueError, KeyError, TypeError) as error:
        raise WatchListError(f"the watch list is damaged: {type(error).__name__}") from None
