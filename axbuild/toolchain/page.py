"""The frame of a page that needs nothing beside itself: readable in the light and in the dark, names escaped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #6b7684; --line: #d9dee5; --paper: #ffffff;
  --first: #2563a8; --second: #c2701c; --third: #b3261e; --fourth: #2e7d4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #98a2b0; --line: #343c47; --paper: #151a21;
  --first: #6aa9f0; --second: #eaa45c; --third: #f2877f; --fourth: #6fcf97; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 96rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); } .wide { overflow-x: auto; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } .grid { stroke: var(--line); }
.key { display: inline-block; width: .9em; height: .9em; border-radius: 2px; margin: 0 .35em 0 1em; }
.key:first-child { margin-left: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
.word { text-align: left; } th { white-space: normal; vertical-align: bottom; } td { vertical-align: top; }
td.name { white-space: normal; min-width: 7rem; max-width: 22rem; overflow-wrap: anywhere; }
"""


def document(title: str, body: Iterable[str], style: str = "") -> str:
    """body: HTML; style: CSS beyond that of every page."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body>
<h1>{escape(title)}</h1>
{"".join(body)}
</body></html>
"""


def section(title: str, *body: str) -> str:
    """body: HTML, which may be wider than the page."""
    return f'<h2>{escape(title)}</h2><div class="wide">{"".join(body)}</div>\n'


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = ()) -> str:
    """Cells are text. The first column names its row; words: further columns that hold no figures."""
    return table_of_html(head, (tuple(map(escape, row)) for row in rows), words)


def table_of_html(head: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = ()) -> str:
    """As `table_of`, with cells that are HTML; the head is text."""
    css = ["word name" if place == 0 else "word" if place in words else "figure" for place in range(len(head))]

    def cells(tag: str, row: Iterable[str]) -> str:
        return "".join(f'<{tag} class="{name}">{cell}</{tag}>' for name, cell in zip(css, row, strict=True))

    lines = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{cells('th', map(escape, head))}</tr></thead><tbody>\n{lines}</tbody></table>"
