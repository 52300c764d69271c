"""Errors about the hidden workspace of `pulsar2 build`, told of the configuration and the paths that it is made of."""

from __future__ import annotations

import re
from pathlib import Path

from axbuild.errors import AxError, Place
from axbuild.report.build_file import build_text
from axbuild.workspace.disk import BUILD_FILE

from ._pulsar2_workspace import Prepared

_TABLE = re.compile(r"\[\[(\w+)\]\]")
_KEY = re.compile(r"(\w+) = ")


class Retold:
    """An error as a user of the vendor's command reads it: a place in the hidden BUILD.toml is the place where the
    configuration sets what the line is made of, a link is what it leads to."""

    def __init__(self, workspace: Prepared) -> None:
        self._tables, self._links = workspace.tables, workspace.links

    def __call__(self, error: AxError) -> AxError:
        place = error.place
        if place and place.file == BUILD_FILE:
            place = self._place(place.line)
        return AxError(self._named(error.sentence), place=place, hint=error.hint, code=error.code)

    def _place(self, line: int) -> Place | None:
        """Of the attribute that a line is of, or of its table; None where neither is set by anybody."""
        before = build_text(self._tables).split("\n")[:line]
        table = sum(_TABLE.match(text) is not None for text in before) - 1
        key = next((found[1] for text in reversed(before) if (found := _KEY.match(text) or _TABLE.match(text))), "")
        places: dict[str, Place] = getattr(self._tables[table][1], "places", {})
        return places.get(key) or places.get("")

    def _named(self, sentence: str) -> str:
        for link, target in sorted(self._links.items(), reverse=True):
            sentence = sentence.replace(link, _shown(target))
        return sentence


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
