"""Tables of a benchmark, and where they stand in a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (heads, ["---"] * len(heads), *rows))


def put_into(page: Path, script: str, text: str) -> None:
    """Between the page's marks `<!-- script -->` and `<!-- end of script -->`."""
    begin, end = f"<!-- {script} -->", f"<!-- end of {script} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
