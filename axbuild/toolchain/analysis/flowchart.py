"""Rows of an analysis as a mermaid flowchart, each in the colour of its cosine."""

from __future__ import annotations

from collections.abc import Sequence

from axbuild.toolchain.analysis.rows import AnalysedRow

CLASSES = (
    ("good", 0.999, "fill:#d3f9d8,stroke:#2b8a3e,color:#1b1b1b"),
    ("fair", 0.99, "fill:#fff3bf,stroke:#e67700,color:#1b1b1b"),
    ("poor", -1.0, "fill:#ffc9c9,stroke:#c92a2a,color:#1b1b1b"),
)
"""(class, its lowest cosine, style); what is not finite is of the last"""


def flowchart(title: str, rows: Sequence[AnalysedRow]) -> str:
    """The text of a .mmd file."""
    numbers = {row.name: f"n{number}" for number, row in enumerate(rows)}
    inputs = dict.fromkeys(name for row in rows for name in row.reads if name not in numbers)
    numbers |= {name: f"in{number}" for number, name in enumerate(inputs)}
    lines = ["flowchart TD", f"  %% {title}; by cosine: {_key()}"]
    lines += [f'  {numbers[name]}(["{_word(name)}"])' for name in inputs]
    lines += [f'  {numbers[row.name]}["{_label(row)}"]:::{_class_of(row)}' for row in rows]
    lines += [f"  {numbers[name]} --> {numbers[row.name]}" for row in rows for name in row.reads]
    lines += [f"  classDef {name} {style}" for name, _, style in CLASSES]
    return "\n".join(lines) + "\n"


def _key() -> str:
    (good, high, _), (fair, low, _), (poor, _, _) = CLASSES
    return f"{good} from {high}, {fair} from {low}, {poor} below"


def _class_of(row: AnalysedRow) -> str:
    return next((name for name, least, _ in CLASSES if row.sums and row.sums.cosine >= least), CLASSES[-1][0])


def _label(row: AnalysedRow) -> str:
    cosine = f"{row.sums.cosine:.5f}" if row.sums else "not finite"
    return "<br/>".join(map(_word, (row.operator, row.type, cosine)))


def _word(text: str) -> str:
    """Text that mermaid takes for nothing but text: all but plain characters by their numbers. A space is none: behind
    "1." it begins a list."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "_./:-") else f"#{ord(one)};" for one in text)
