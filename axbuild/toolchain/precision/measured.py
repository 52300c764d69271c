"""`precision.json`: what stands between measuring a quantised model against its float model and whoever reads that."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from axbuild.toolchain.likeness import Sums

FILE = "precision.json"


@dataclass(frozen=True)
class Measured:
    """One output on one sample. sums: of the float model's values and the quantised model's, None where one is not
    finite. agrees: whether the largest value stands at the same place, along the last axis everywhere."""

    sample: str
    output: str
    sums: Sums | None
    agrees: bool


@dataclass(frozen=True)
class SideBySide:
    """rows: every output on every sample. channels: output -> the cosine of each channel on all samples together; one
    with a value that is not finite has -1."""

    rows: list[Measured]
    channels: dict[str, list[float]]


def write(measured: SideBySide, folder: Path) -> None:
    text = json.dumps(asdict(measured), indent=1, sort_keys=True, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(file: Path) -> SideBySide:
    content = json.loads(file.read_text(encoding="utf-8"))
    rows = [Measured(**row | {"sums": row["sums"] and Sums(**row["sums"])}) for row in content["rows"]]
    return SideBySide(rows, content["channels"])
