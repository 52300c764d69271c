"""`quant_axmodel.json` as whoever reads it needs it, without the operators that its writer knows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

from axbuild.errors import AxError

Record = dict[str, Any]


def record_hash(node: str, tensor: str) -> int:
    """48 bits of a digest of the record's place: the same in every run."""
    return int.from_bytes(hashlib.sha256(f"{node}\0{tensor}".encode()).digest()[:6], "big")


class RecordsError(AxError):
    """A file that holds no records."""

    code = "AX590"


def read_records(path: Path) -> dict[str, dict[str, Record]]:
    """As `write_records` wrote them; raises RecordsError."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise RecordsError(f"{path.name} is not JSON") from None
    tensors = list(found.values()) if isinstance(found, dict) else [None]
    records = [record for one in tensors if isinstance(one, dict) for record in one.values()]
    if not all(isinstance(one, dict) for one in (*tensors, *records)):
        raise RecordsError(f"{path.name} does not hold a record for each tensor of each operator")
    return cast("dict[str, dict[str, Record]]", found)
