"""The list of tensors to watch, as observation reads it.

`watch.json`: {"format": "axbuild-watch/2", "tensors": [{"name", "axis", "type"}]}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from axbuild.errors import AxError

FORMAT = "axbuild-watch/2"


class WatchListError(AxError):
    """A watch list that is damaged or of another format."""

    code = "AX355"


@dataclass(frozen=True)
class WatchedTensor:
    """One float tensor. axis: of its channels; type: of its elements."""

    name: str
    axis: int
    type: str


def write_watched(rows: Iterable[WatchedTensor], path: Path) -> None:
    content = {"format": FORMAT, "tensors": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_watched(path: Path) -> list[WatchedTensor]:
    """The list in its file's order; raises WatchListError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise WatchListError(f"the watch list is not of the format {FORMAT}")
        return [WatchedTensor(**row) for row in content["tensors"]]
    except (ValueError, KeyError, TypeError) as error:
        raise WatchListError(f"the watch list is damaged: {type(error).__name__}") from None
