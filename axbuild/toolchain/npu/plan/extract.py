"""Stage: one subgraph out of a partition, so that its compilation depends on nothing else of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExtractParams:
    subgraph: str


def extract(partition: Path, out: Path, *, params: ExtractParams) -> None:
    """Writes subgraph.onnx."""
    record = json.loads((partition / "partition.json").read_text(encoding="utf-8"))
    (file,) = (item["file"] for item in record["subgraphs"] if item["name"] == params.subgraph)
    shutil.copyfile(partition / file, out / "subgraph.onnx")
