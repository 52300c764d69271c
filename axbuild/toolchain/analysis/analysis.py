"""`precision_analysis.json`: what an analysis found, for whoever judges, shows or keeps it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.toolchain.analysis.rows import FLOAT, AnalysedRow

FILE = "precision_analysis.json"


@dataclass(frozen=True)
class RowFigures:
    """What is judged of a row. output: whether it is what the model gives. None where a value was not finite;
    max_step: also for floats, which have no steps."""

    operator: str
    tensor: str
    output: bool
    cosine: float | None
    mse: float | None
    snr_db: float | None
    max_step: float | None


def title_of(method: str, mode: str) -> str:
    return f"Quant Precision Table【{method} {mode}】"


def write(method: str, mode: str, samples: int, rows: Sequence[AnalysedRow], folder: Path) -> None:
    """Numbers that JSON cannot hold are text ("inf", "-inf")."""
    about = {"title": title_of(method, mode), "method": method, "mode": mode, "samples": samples}
    content = about | {"rows": [_plain(row) for row in rows]}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _plain(row: AnalysedRow) -> dict[str, Any]:
    sums = row.sums
    return {
        "operator": row.operator,
        "type": row.type,
        "tensor": row.tensor,
        "shape": list(row.shape),
        "dtype": FLOAT,
        "qdtype": row.qdtype,
        "cosine": row.cosine,
        "mse": sums.mse if sums else None,
        # Six digits: the logarithm's last bit is the mathematics library's own.
        "snr_db": _number(round(sums.snr_db, 6)) if sums else None,
        "max_step": row.max_step,
        "output": row.output,
        "nodes": list(row.nodes),
        "name": row.name,
        "reads": list(row.reads),
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def read(file: Path) -> tuple[str, int, list[RowFigures]]:
    """(method and mode, samples, rows)"""
    content = json.loads(file.read_text(encoding="utf-8"))
    rows = [
        RowFigures(**{name: row[name] for name in RowFigures.__dataclass_fields__} | {"snr_db": _float(row["snr_db"])})
        for row in content["rows"]
    ]
    return f"{content['method']} {content['mode']}", content["samples"], rows


def _float(stored: float | str | None) -> float | None:
    return None if stored is None else float(stored)
