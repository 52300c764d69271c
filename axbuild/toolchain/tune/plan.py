"""The list of a model's blocks, in `plan.json`: {"format", "blocks": [{"first", "last", "tuned", "goes_on"}]}."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from axbuild.errors import AxError

FORMAT = "axbuild-blocks/1"
PLAN, MODEL, SCHEME, REPORT = "plan.json", "model.onnx", "scheme.msgpack", "report.json"


class BlocksError(AxError):
    """AX362: a list of blocks that is damaged."""

    code = "AX362"


@dataclass(frozen=True)
class PlannedBlock:
    """first, last: operators of the optimised model; goes_on: tensors that blocks behind it read."""

    first: str
    last: str
    tuned: bool
    goes_on: tuple[str, ...]


def write_plan(blocks: list[PlannedBlock], file: Path) -> None:
    content = {"format": FORMAT, "blocks": [asdict(block) for block in blocks]}
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_plan(file: Path) -> list[PlannedBlock]:
    """Raises BlocksError."""
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != FORMAT:
            raise BlocksError(f"the list of blocks is not of the format {FORMAT}")
        return [
            PlannedBlock(str(row["first"]), str(row["last"]), bool(row["tuned"]), tuple(row["goes_on"]))
            for row in content["blocks"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BlocksError(f"the list of blocks is damaged: {type(error).__name__}") from None
