"""A table of text that stands in a file, on a screen that may be too narrow for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from axbuild.dataclass import dataclass

CORNERS = "┏┳┓"
READABLE = 20
"""characters of a cell that tell it from others"""
LEAST = 8
"""characters of a cell that are left where nothing else helps"""


@dataclass(frozen=True)
class TextTable:
    """A title, a line of rules with a corner at each column, heads, a line below them, and rows.

    spare: heads of columns that say least, the first to go first.
    """

    lines: tuple[str, ...]
    spare: tuple[str, ...] = ()

    def fitted(self, columns: int | None) -> list[str]:
        """As it is where it fits, or where there is no limit; else without spare columns and with the longest cells
        cut, so that no line is torn by whatever ends it."""
        title, top, *_ = self.lines
        if columns is None or len(top) <= columns:
            return list(self.lines)
        ends = [place for place, mark in enumerate(top) if mark in CORNERS]
        spans = list(itertools.pairwise(ends))
        spare = [*self.spare]
        while (widths := _widths(spans, columns)) is None:
            if not spare:
                widths = _widths(spans, columns, LEAST) or [end - start - 1 for start, end in spans]
                break
            gone = spare.pop(0)
            spans = [(start, end) for start, end in spans if self.lines[2][start + 1 : end].strip() != gone]
        cut = [_cut(line, spans, widths, line[ends[-1]]) for line in self.lines[1:]]
        return [title.strip().center(len(cut[0])).rstrip(), *cut]


def _widths(spans: Sequence[tuple[int, int]], columns: int, least: int = READABLE) -> list[int] | None:
    """Of each column, so that they fit and none is cut to less; None where that cannot be."""
    widths = [end - start - 1 for start, end in spans]
    while sum(widths) + len(widths) + 1 > columns:
        if max(widths) <= least:
            return None
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(line: str, spans: Sequence[tuple[int, int]], widths: Sequence[int], right: str) -> str:
    parts = []
    for (start, end), width in zip(spans, widths, strict=True):
        cell = line[start + 1 : end]
        fits = cell[0] != " " or len(cell) == width or len(cell.rstrip()) < width
        parts.append(line[start] + (cell[:width] if fits else f"{cell[: width - 2]}… "))
    return "".join(parts) + right
