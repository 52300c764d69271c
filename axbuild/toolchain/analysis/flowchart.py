"""Rows of an analysis as a mermaid flowchart, each in the colour of its cosine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from axbuild.toolchain.analysis.rows import AnalysedRow

CLASSES = (
    ("good", 0.999, "fill:#d3f9d8,stroke:#2b8a3e,color:#1b1b1b"),
    ("fair", 0.99, "fill:#fff3bf,stroke:#e67700,color:#1b1b1b"),
    ("poor", -1.0, "fill:#ffc9c9,stroke:#c92a2a,color:#1b1b1b"),
)
"""(class, its lowest cosine, style): green, yellow, red; what is not finite is of the last"""
LETTERS, EDGES = 50_000, 500
"""the largest graph that mermaid draws unless it is told otherwise"""
WIDTH = 32
"""of a line, in letters"""
_MEANT = re.compile(r"\$(?=\$)|:(?=fa-)")
"""where mermaid sees a formula or a picture in what is text again: a space of no width keeps it apart"""
_FOLDERS = re.compile(r"[^/]*/|[^/]+")
_WORDS = re.compile(r"[^/._-]*[/._-]|[^/._-]+")


def flowchart(title: str, rows: Sequence[AnalysedRow]) -> str:
    """The text of a .mmd file. title: the form of the analysis."""
    numbers = {row.name: f"n{number}" for number, row in enumerate(rows)}
    inputs = dict.fromkeys(name for row in rows for name in row.reads if name not in numbers)
    numbers |= {name: f"in{number}" for number, name in enumerate(inputs)}
    nodes = [f'  {numbers[name]}(["{_name(name)}"])' for name in inputs]
    nodes += [f'  {numbers[row.name]}["{_label(row)}"]:::{_class_of(row)}' for row in rows]
    edges = [f"  {numbers[name]} --> {numbers[row.name]}" for row in rows for name in row.reads]
    styles = [f"  classDef {name} {style}" for name, _, style in CLASSES]
    head = ["---", f"title: {json.dumps(f'{title}, by cosine: {_key()}')}", "---", "flowchart TD"]
    lines = [*head, *nodes, *edges, *styles]
    return "\n".join([*lines, *_beyond(len("\n".join(lines)), len(edges))]) + "\n"


def _key() -> str:
    (_, high, _), (_, low, _), _ = CLASSES
    return f"green from {high}, yellow from {low}, red below"


def _beyond(letters: int, edges: int) -> Iterator[str]:
    """What a viewer has to be told of a large graph, which mermaid lets no file say for itself."""
    if letters > LETTERS or edges > EDGES:
        yield f"  %% too large for mermaid as it comes: initialize it with maxTextSize {2 * letters}, maxEdges {edges}"


def _class_of(row: AnalysedRow) -> str:
    return next((name for name, least, _ in CLASSES if row.sums and row.sums.cosine >= least), CLASSES[-1][0])


def _label(row: AnalysedRow) -> str:
    cosine = f"{row.sums.cosine:.5f}" if row.sums else "not finite"
    return "<br/>".join((_name(row.operator), _word(row.type), _word(cosine)))


def _name(text: str) -> str:
    """A name, which exporters make of many parts: a line holds as many as find room."""
    lines = [""]
    for part in _parts(_MEANT.sub("\\g<0>\u200b", text)):
        if lines[-1] and len(lines[-1]) + len(part) > WIDTH:
            lines.append("")
        lines[-1] += part
    return "<br/>".join(map(_word, lines))


def _parts(text: str) -> Iterator[str]:
    """Folders of a name, and of such as have no room in a line what stands between other marks."""
    for folder in _FOLDERS.findall(text):
        yield from [folder] if len(folder) <= WIDTH else _WORDS.findall(folder)


def _word(text: str) -> str:
    """Text that mermaid takes for nothing but text: all but plain characters by their numbers. A space is none: behind
    "1." it begins a list. A colon is none: behind "style" it takes the last semicolon of the line."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "_./-") else f"#{ord(one)};" for one in text)
